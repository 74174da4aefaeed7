"""What a platform has told is done as soon as upstream would do it, at next to no cost."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from uploader.live.platform_signals import SHARE, SHORTEST, PlatformSignals


class World:
    """A clock, what is told, and what is said."""

    def __init__(self) -> None:
        self.now = 100.0
        self.takes = 0.0
        self.told: dict[str, str] | None = {}
        self.waited: list[bool] = []
        self.said: list[str] = []
        self.trainer: Any = SimpleNamespace(stop=False)
        self.signals = PlatformSignals(self._ask, self.said.append, lambda: self.now)

    def _ask(self, *, wait: bool = True) -> dict[str, str] | None:
        self.waited.append(wait)
        self.now += self.takes
        return self.told


@pytest.fixture
def world() -> World:
    return World()


def test_a_cancelled_training_is_stopped_and_told_once(world: World) -> None:
    world.signals.check(world.trainer)
    assert not world.trainer.stop
    world.told = {"cancelled": "by hand"}
    for _ in range(2):
        world.signals.check(world.trainer)
        assert world.trainer.stop
        world.trainer.stop = False  # as trainers do that have a time limit
    (said,) = world.said
    assert "by hand" in said


def test_between_batches_it_stops_at_the_next_one(world: World) -> None:
    world.signals.check_between_batches(world.trainer)
    world.told = {"cancelled": ""}
    world.signals.check_between_batches(world.trainer)
    assert not world.trainer.stop  # not at every batch
    assert not world.signals.is_due()
    world.now += SHORTEST
    assert world.signals.is_due()
    world.signals.check_between_batches(world.trainer)
    assert world.trainer.stop
    assert world.waited == [False, False]
    assert world.signals.is_due()  # to be stopped again
    world.trainer.stop = False
    world.signals.check_between_batches(world.trainer)
    assert world.trainer.stop
    assert len(world.waited) == 2


def test_short_batches_are_held_up_twice_a_second_at_most(world: World) -> None:
    """Each time another thread does the work, which takes longer than to ask."""
    for _ in range(20):
        if world.signals.is_due():
            world.signals.check_between_batches(world.trainer)
        world.now += 0.05
    assert len(world.waited) <= 2


def test_a_slow_journal_is_asked_less_often(world: World) -> None:
    world.takes = 0.01
    world.signals.check_between_batches(world.trainer)
    world.now += SHARE * world.takes - 0.001
    world.signals.check_between_batches(world.trainer)
    assert len(world.waited) == 1
    world.now += 0.002
    world.signals.check_between_batches(world.trainer)
    assert len(world.waited) == 2


def test_what_cannot_be_asked_now_is_asked_later(world: World) -> None:
    world.told = None
    world.signals.check_between_batches(world.trainer)
    assert (world.trainer.stop, world.said) == (False, [])


def test_where_the_model_is_is_said_once_it_is_known(world: World) -> None:
    world.signals.check(world.trainer)
    assert world.said == []
    world.told = {"model": "https://example.com/runs/local/demo/t1"}
    world.signals.check_between_batches(world.trainer)
    world.signals.check(world.trainer)
    assert world.said == ["View model at https://example.com/runs/local/demo/t1"]
