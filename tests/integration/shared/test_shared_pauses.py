"""Many drains are no harder on a platform in trouble than one: a real server counts, the clock is the test's own."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue

import pytest
from support.clocks import TwoClocks
from support.recordings import KEY, Recordings, recordings
from support.scripted_server import Reply, ScriptedServer, received
from support.settings import settings

from journal.outbox.outbox import Outbox
from uploader.connecting import connect
from uploader.delivery.attempt import Finished
from uploader.delivery.outcomes import Outcomes
from uploader.delivery.progress import Silent
from uploader.delivery.sender import Sender, SenderContext
from uploader.delivery.shared_feed import SharedFeed
from uploader.delivery.shared_pauses import SharedPauses

DRAINS, RUNS, EPOCHS, LEASE = 3, 2, 6, 60.0


class SteppedDrain:
    """The parts of a drain that decide when something is sent."""

    def __init__(self, shared: Recordings, outbox: Outbox, clock: TwoClocks, number: int, url: str) -> None:
        self.outbox, self.clock = outbox, clock
        outbox.now = clock.utc_now
        self.attempts: list[float] = []
        self._results: SimpleQueue[Finished | None] = SimpleQueue()
        chance = random.Random(number)
        [destination] = outbox.routes.destinations()
        context = SenderContext(
            connect=partial(connect, settings=settings(KEY, url), connections=3),
            blobs=shared.journal.blobs,
            journal=shared.journal,
            default_project="demo",
            progress=Silent(),
            abort=threading.Event(),
            results=self._results,
            parallel=2,
            uploads=1,
            random=chance.random,
            clock=clock.monotonic,
        )
        self.sender = Sender(destination, context)
        self.pauses = SharedPauses(outbox, f"drain {number}", LEASE, clock.monotonic)
        self.feed = SharedFeed(outbox, None, self.pauses, LEASE, clock.monotonic, drain=str(number))
        self.outcomes = Outcomes(outbox, chance.random)

    def step(self) -> None:
        """Send what may be sent at this moment, and take down what came of it."""
        self.feed.fill_all([self.sender])
        while self.sender.in_flight:
            finished = self._results.get(timeout=100)
            assert finished is not None
            self.attempts.append(self.clock.seconds)
            self.sender.finish(finished)
            self.outcomes.finished.append(finished)
            if self.sender.paused:
                self.outcomes.release(self.sender.withdraw())
        self.outcomes.write()
        self.pauses.exchange([self.sender])


@dataclass
class Team:
    """Several of them, which take turns."""

    drains: list[SteppedDrain]
    clock: TwoClocks

    def go_on(self, seconds: float) -> None:
        until = self.clock.seconds + seconds
        while self.clock.seconds < until:
            for one in self.drains:
                one.step()
            wait = min(one.sender.paused_for("message") for one in self.drains)
            self.clock.seconds += min(max(wait, 5.0), 30.0)

    @property
    def attempts(self) -> list[float]:
        return sorted(at for one in self.drains for at in one.attempts)


@pytest.fixture
def team(tmp_path: Path, server: ScriptedServer) -> Iterator[Team]:
    with ExitStack() as stack:
        shared = stack.enter_context(recordings(tmp_path / "journal", "postgres"))
        trainings = [shared.begin(f"train-{number}") for number in range(RUNS)]
        for training in trainings:
            training.started()
        assert shared.drain(server.url).exit_code == 0
        for training in trainings:
            for number in range(EPOCHS):
                training.epoch(number)
        server.requests.clear()
        clock = TwoClocks()
        outboxes = [stack.enter_context(closing(shared.journal.outbox())) for _ in range(DRAINS)]
        drains = [SteppedDrain(shared, one, clock, number, server.url) for number, one in enumerate(outboxes)]
        yield Team(drains, clock)
        for one in drains:
            one.sender.close(1)


def test_a_platform_in_trouble_is_asked_by_one_drain_at_a_time(team: Team, server: ScriptedServer) -> None:
    server.script = lambda _: Reply(503)
    team.go_on(300)
    tried = team.attempts
    assert len(tried) == len(server.requests) <= 18  # at intervals that double, whoever asks
    assert len(set(tried)) == len(tried)  # one at a time

    server.script = received
    team.go_on(400)
    epochs = [body["data"]["epoch"] for body in server.bodies("/metrics") if body["event"] == "epoch_end"]
    assert len(epochs) - len(tried) == RUNS * EPOCHS
    assert team.drains[0].outbox.pauses.read() == {}
    assert all(one.sender.breakers.state("message", team.clock.seconds) == "closed" for one in team.drains)


def test_a_pause_that_is_asked_for_is_kept_by_all(team: Team, server: ScriptedServer) -> None:
    server.script = lambda _: Reply(429, headers={"Retry-After": "120"})
    team.go_on(119)
    assert len(server.requests) == 1
    team.go_on(120)
    assert len(server.requests) == 2


def test_a_drain_that_dies_while_it_asks_is_not_waited_for_longer_than_its_lease(
    team: Team, server: ScriptedServer
) -> None:
    server.script = lambda _: Reply(429, headers={"Retry-After": "120"})
    team.go_on(100)
    [[(destination, lane), pause]] = team.drains[0].outbox.pauses.read().items()
    team.clock.seconds += (pause.resumes_at - team.clock.utc_now()).total_seconds()
    assert team.drains[0].outbox.pauses.may_probe(destination, lane, "dead", seconds=LEASE, now=team.clock.utc_now())
    team.go_on(LEASE - 1)
    assert len(server.requests) == 1
    server.script = received
    team.go_on(400)
    assert len(server.requests) == 1 + RUNS * EPOCHS


def test_a_drain_with_nothing_to_send_lets_another_ask(team: Team, server: ScriptedServer) -> None:
    server.script = lambda _: Reply(429, headers={"Retry-After": "10"})
    team.go_on(9)
    idle = team.drains[1]
    idle.feed = SharedFeed(idle.outbox, ["no run"], idle.pauses, LEASE, team.clock.monotonic, drain="idle")
    team.drains.insert(0, team.drains.pop(1))
    server.script = received
    team.go_on(100)
    assert not idle.attempts
    assert len(server.requests) == 1 + RUNS * EPOCHS
