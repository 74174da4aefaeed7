"""However much waits, a server that cannot take it is asked seldom: a real one counts, the clock is a test's own."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue

import pytest
from support.clocks import TwoClocks
from support.journals import IN_A_FILE, change
from support.recordings import KEY, Recordings
from support.scripted_server import Reply, ScriptedServer, free_port
from support.settings import settings

from journal.outbox.outbox import Outbox
from uploader.connecting import connect
from uploader.delivery.attempt import Finished
from uploader.delivery.concurrency import CLAIM_AHEAD
from uploader.delivery.feed import Feed
from uploader.delivery.outcomes import Outcomes
from uploader.delivery.progress import Silent
from uploader.delivery.sender import Sender, SenderContext
from uploader.delivery.shared_feed import SharedFeed
from uploader.delivery.shared_pauses import SharedPauses
from uploader.delivery.timing import Timing
from uploader.platforms.ultralytics.client import UltralyticsPlatform

ON_BOTH_ENGINES = True
RUNS, EPOCHS = 20, 50
PARALLEL, UPLOADS = 4, 1
BURST = PARALLEL * CLAIM_AHEAD + UPLOADS
"""So many may be under way when the first refusal comes."""
HOUR = 3600.0
LONG_AGO = "Wed, 21 Oct 2015 07:28:00 GMT"
_EPOCH_OF_ALL = """
    INSERT INTO events (run_id, session_id, kind, key, payload, created_at)
    SELECT run_id, id, 'epoch_end', ?, ?, started_at FROM sessions
"""


@dataclass
class SteppedDrain:
    """The parts of a drain that decide when something is sent, on a clock of their own."""

    journals: Recordings
    outbox: Outbox
    clock: TwoClocks
    random: random.Random
    attempts: list[float] = field(default_factory=list)

    def start(self, url: str) -> None:
        """Begin as a drain does, after whatever another one left."""
        self.results: SimpleQueue[Finished | None] = SimpleQueue()
        self.feed = self._begin()
        destination = self.outbox.routes.add_destination("ultralytics", url)
        for run in self.outbox.routes.runs():
            self.outbox.routes.add(run.id, destination.id)
        context = SenderContext(
            connect=partial(connect, settings=settings(KEY, url), connections=PARALLEL + UPLOADS),
            blobs=self.journals.journal.blobs,
            journal=self.journals.journal,
            default_project="demo",
            progress=Silent(),
            abort=threading.Event(),
            results=self.results,
            parallel=PARALLEL,
            uploads=UPLOADS,
            random=self.random.random,
            clock=self.clock.monotonic,
        )
        self.sender = Sender(destination, context)
        self.outcomes = Outcomes(self.outbox, self.random.random)

    def _begin(self) -> Feed:
        if not self.journals.journal.is_shared:
            self.outbox.claims.take_over(self.clock.utc_now())
            return Feed(self.outbox, None, clock=self.clock.monotonic)
        self.outbox.claims.end_waits(self.clock.utc_now())
        pauses = SharedPauses(self.outbox, "the only one", Timing.lease, self.clock.monotonic)
        return SharedFeed(self.outbox, None, pauses, clock=self.clock.monotonic, drain="the only one")

    def send(self) -> None:
        """Send what may be sent at this moment, and take down what came of it."""
        self.feed.fill_all([self.sender])
        while self.sender.in_flight:
            finished = self.results.get(timeout=60)
            assert finished is not None
            self.attempts.append(self.clock.seconds)
            self.sender.finish(finished)
            self.outcomes.finished.append(finished)
            if self.sender.paused:
                self.outcomes.release(self.sender.withdraw())
        self.outcomes.write()

    def go_on(self, seconds: float) -> None:
        """Let time pass as a watching drain does, in which nothing is missed."""
        until = self.clock.seconds + seconds
        while self.clock.seconds < until:
            self.send()
            due = self.feed.outlook(self.sender).due.get("message")
            assert due is not None
            waits = (self.sender.paused_for("message"), (due - self.clock.utc_now()).total_seconds(), 0.05)
            self.clock.seconds += max(waits)

    def stop(self) -> None:
        self.sender.close(1)


@pytest.fixture
def drain(journals: Recordings, server: ScriptedServer) -> Iterator[SteppedDrain]:
    """A thousand epochs of runs that the server knows: several times as many as a storm may send."""
    for number in range(RUNS):
        journals.begin(f"train-{number}").started()
    assert journals.drain(server.url).exit_code == 0
    for epoch in range(EPOCHS):
        change(journals.journal.path, _EPOCH_OF_ALL, str(epoch), json.dumps({"epoch": epoch, "metrics": {}}))
    clock = TwoClocks()
    server.requests.clear()
    with closing(journals.journal.outbox()) as outbox:
        outbox.now = clock.utc_now
        yield SteppedDrain(journals, outbox, clock, random.Random(7))


def most_within(seconds: float, times: list[float]) -> int:
    return max(sum(at <= other < at + seconds for other in times) for at in times)


@pytest.mark.once_on_postgres
@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(503), id="503"),
        pytest.param(Reply(reset=True), id="reset"),
        pytest.param(Reply(200, b"<html>Please sign in</html>"), id="sign-in page"),
        pytest.param(Reply(429, headers={"Retry-After": "0"}), id="wait 0"),
        pytest.param(Reply(503, headers={"Retry-After": LONG_AGO}), id="wait until long ago"),
    ],
)
def test_a_server_that_says_later_is_asked_once_a_minute(
    drain: SteppedDrain, server: ScriptedServer, reply: Reply
) -> None:
    server.script = lambda _: reply
    drain.start(server.url)
    drain.go_on(HOUR)
    drain.stop()
    assert len(server.requests) == len(drain.attempts)
    assert most_within(60, drain.attempts[:10]) <= 8  # at intervals that double
    assert most_within(60, drain.attempts[10:]) <= 3
    assert 60 <= len(drain.attempts) <= 140
    spread = {
        round(later - earlier, 3) for earlier, later in zip(drain.attempts[10:], drain.attempts[11:], strict=False)
    }
    assert len(spread) > 20


def test_a_host_that_refuses_connections_is_tried_once_a_minute(drain: SteppedDrain) -> None:
    drain.start(f"http://127.0.0.1:{free_port()}")
    drain.go_on(HOUR)
    drain.stop()
    assert most_within(60, drain.attempts[10:]) <= 3
    assert 60 <= len(drain.attempts) <= 140


def test_a_fault_of_our_own_is_not_repeated_more_often_either(
    drain: SteppedDrain, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OverflowError

    monkeypatch.setattr(UltralyticsPlatform, "send", fail)
    drain.start(server.url)
    drain.go_on(HOUR)
    drain.stop()
    assert most_within(60, drain.attempts[10:]) <= 3
    assert 60 <= len(drain.attempts) <= 140
    assert drain.sender.error == "OverflowError"


@pytest.mark.once_on_postgres
@pytest.mark.parametrize(("value", "pause"), [("600", 600.0), ("1000000000", HOUR)])
def test_a_wait_that_is_asked_for_is_kept_up_to_an_hour(
    drain: SteppedDrain, server: ScriptedServer, value: str, pause: float
) -> None:
    server.script = lambda _: Reply(429, headers={"Retry-After": value})
    drain.start(server.url)
    drain.go_on(3 * HOUR)
    drain.stop()
    assert len(drain.attempts) == len(server.requests)
    assert 3 * HOUR / pause - 1 <= len(drain.attempts) <= 3 * HOUR / pause
    assert most_within(pause - 1, drain.attempts) == 1


def test_a_server_that_breaks_down_under_load_is_left_alone(drain: SteppedDrain, server: ScriptedServer) -> None:
    drain.start(server.url)
    drain.send()
    drain.send()
    taken = len(server.requests)
    assert taken > 1  # trusted: many at once
    server.script = lambda _: Reply(503)
    end, bound = drain.clock.seconds + HOUR, BURST + 140
    while drain.clock.seconds < end and len(server.requests) - taken <= bound:
        drain.go_on(1)
    drain.stop()
    assert len(server.requests) - taken <= bound


@IN_A_FILE  # one of a shared journal keeps to the pause that the one before has left
@pytest.mark.parametrize("reply", [Reply(503), Reply(429, headers={"Retry-After": "0"})])
def test_drains_that_are_restarted_over_and_over_send_one_request_each(
    drain: SteppedDrain, server: ScriptedServer, reply: Reply
) -> None:
    server.script = lambda _: reply
    for restarts in range(1, 21):
        drain.start(server.url)
        drain.send()
        drain.stop()
        assert len(server.requests) == restarts
