"""When a drain beside a training ends, and that no training that begins meanwhile is left without one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from support.journals import IN_A_FILE, change
from support.recordings import Recordings, Training
from support.scripted_server import ScriptedServer, hearing

from journal.clock import utc_now
from journal.reading.drain_at_work import HOLDER
from uploader.delivery.completion import SHARE, Completion
from uploader.delivery.drain_lock import HeldLock, drain_lock
from uploader.errors import DrainLocked

ON_BOTH_ENGINES = True


@pytest.fixture
def held(journals: Recordings) -> Iterator[HeldLock]:
    with drain_lock(journals.journal.path, is_background=True) as lock:
        yield lock


class World:
    """What a completion asks, with a clock that stands."""

    def __init__(self, journals: Recordings) -> None:
        self.now, self.seconds = 0.0, 0.0
        self.taken_in = 0
        self.left = False
        self.during: Callable[[], object] = lambda: None
        self.outbox = journals.journal.outbox()
        self.completion = Completion(
            lambda: self.outbox.is_training(utc_now()),
            take_in=self._take_in,
            is_work_left=self._is_work_left,
            clock=lambda: self.now,
        )

    def _take_in(self) -> None:
        self.taken_in += 1

    def _is_work_left(self) -> bool:
        self.now += self.seconds
        self.during()
        return self.left


@pytest.fixture
def world(journals: Recordings) -> Iterator[World]:
    made = World(journals)
    with closing(made.outbox):
        yield made


def test_it_is_done_once_nobody_trains_and_nothing_is_left(journals: Recordings, world: World, held: HeldLock) -> None:
    training = journals.begin()
    assert not world.completion.is_reached(held)
    training.end()
    assert not world.completion.is_reached(held)  # what it left is taken in, and may be something to send
    assert world.taken_in == 1
    assert world.completion.is_reached(held)
    assert not (journals.journal.path / HOLDER).exists()


@IN_A_FILE
def test_a_training_whose_machine_has_slept_goes_on(journals: Recordings, world: World, held: HeldLock) -> None:
    training = journals.begin()
    change(journals.journal.path, "UPDATE sessions SET heartbeat_at = '2026-01-01T00:00:00.000000Z'")
    for _ in range(3):
        assert not world.completion.is_reached(held)
    assert world.taken_in == 0
    training.end()
    assert not world.completion.is_reached(held)
    assert world.completion.is_reached(held)


def test_it_is_looked_again_at_what_is_left_when_something_arrived_or_after_a_while(
    world: World, held: HeldLock
) -> None:
    world.left, world.seconds = True, 1.0
    assert not world.completion.is_reached(held)
    assert not world.completion.is_reached(held)
    world.left = False
    assert not world.completion.is_reached(held)
    world.left = True
    world.completion.note_arrival()
    assert not world.completion.is_reached(held)
    assert not world.completion.is_reached(held)
    assert world.taken_in == 2
    world.left = False
    world.now += SHARE - 1
    assert not world.completion.is_reached(held)  # a look that takes long is rare
    world.now += 2
    assert world.completion.is_reached(held)


@IN_A_FILE
def test_a_training_that_begins_while_it_ends_is_not_left_alone(
    journals: Recordings, world: World, held: HeldLock
) -> None:
    folder = journals.journal.path
    trainings: list[Training] = []
    found: list[bool] = []

    def begin_one() -> None:
        if not trainings:  # between the last look and the end; it finds the drain at work, and starts none
            trainings.append(journals.begin())
            with pytest.raises(DrainLocked) as caught, drain_lock(folder):
                pass
            found.append(caught.value.does_all)

    assert not world.completion.is_reached(held)
    world.during = begin_one
    assert not world.completion.is_reached(held)
    assert found == [True]
    assert (folder / HOLDER).exists()
    trainings[0].end()
    world.now += 10
    assert not world.completion.is_reached(held)
    world.during = lambda: found.append((folder / HOLDER).exists())
    assert world.completion.is_reached(held)
    assert found == [True, True, False]  # who looks from now on is told of no drain that would do its work


def test_a_drain_until_done_delivers_what_is_recorded_meanwhile_and_ends(
    journals: Recordings, server: ScriptedServer
) -> None:
    server.script, begun = hearing("training_started")
    training = journals.begin()
    training.started()
    with journals.draining(server.url, watch=True, until_done=True) as running:
        assert begun.wait(100)
        training.epoch(0)
        training.complete()
        training.end()
        summary = running.summary()
    assert (summary.exit_code, summary.interrupted) == (0, False)
    assert [body["event"] for body in server.bodies()][-1] == "training_complete"


@IN_A_FILE
def test_a_background_drain_leaves_the_journal_to_another_one_and_waits_for_any_other(
    journals: Recordings, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    journals.whole()
    said: list[object] = []
    monkeypatch.setattr("uploader.delivery.drain_lock._LOG.warning", lambda *text: said.append(text))
    with drain_lock(journals.journal.path, is_background=True), pytest.raises(DrainLocked):
        journals.drain(server.url, watch=True, until_done=True, max_time=60.0)
    assert said == []  # it did not wait
    waiting = drain_lock(journals.journal.path)
    waiting.__enter__()
    with journals.draining(server.url, watch=True, until_done=True) as running:
        waiting.__exit__(None, None, None)
        assert running.summary().exit_code == 0
