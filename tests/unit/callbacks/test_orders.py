"""What a platform has told is done as soon as upstream would do it, at next to no cost."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from uploader.callbacks.signals import SHARE, SHORTEST, Orders


class World:
    """A clock, what is told, and what is said."""

    def __init__(self) -> None:
        self.now = 100.0
        self.takes = 0.0
        self.told: dict[str, str] | None = {}
        self.waited: list[bool] = []
        self.said: list[str] = []
        self.trainer: Any = SimpleNamespace(stop=False)
        self.orders = Orders(self._ask, self.said.append, lambda: self.now)

    def _ask(self, *, wait: bool = True) -> dict[str, str] | None:
        self.waited.append(wait)
        self.now += self.takes
        return self.told


@pytest.fixture
def world() -> World:
    return World()


def test_a_cancelled_training_is_stopped_and_told_once(world: World) -> None:
    world.orders.look(world.trainer)
    assert not world.trainer.stop
    world.told = {"cancelled": "by hand"}
    for _ in range(2):
        world.orders.look(world.trainer)
        assert world.trainer.stop
        world.trainer.stop = False  # as trainers do that have a time limit
    (said,) = world.said
    assert "by hand" in said


def test_between_batches_it_stops_at_the_next_one(world: World) -> None:
    world.orders.glance(world.trainer)
    world.told = {"cancelled": ""}
    world.orders.glance(world.trainer)
    assert not world.trainer.stop  # not at every batch
    assert not world.orders.are_due()
    world.now += SHORTEST
    assert world.orders.are_due()
    world.orders.glance(world.trainer)
    assert world.trainer.stop
    assert world.waited == [False, False]
    assert world.orders.are_due()  # to be stopped again
    world.trainer.stop = False
    world.orders.glance(world.trainer)
    assert world.trainer.stop
    assert len(world.waited) == 2


def test_a_slow_journal_is_asked_less_often(world: World) -> None:
    world.takes = 0.01
    world.orders.glance(world.trainer)
    world.now += SHARE * world.takes - 0.001
    world.orders.glance(world.trainer)
    assert len(world.waited) == 1
    world.now += 0.002
    world.orders.glance(world.trainer)
    assert len(world.waited) == 2


def test_what_cannot_be_asked_now_is_asked_later(world: World) -> None:
    world.told = None
    world.orders.glance(world.trainer)
    assert (world.trainer.stop, world.said) == (False, [])


def test_where_the_model_is_is_said_once_it_is_known(world: World) -> None:
    world.orders.look(world.trainer)
    assert world.said == []
    world.told = {"model": "https://example.com/runs/local/demo/t1"}
    world.orders.glance(world.trainer)
    world.orders.look(world.trainer)
    assert world.said == ["View model at https://example.com/runs/local/demo/t1"]
