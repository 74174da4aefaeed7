"""Whose turn it is: three queues, one after the other, and registrations that wait for others of their name."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Any, cast

import pytest

from journal.outbox.fairness import PATIENCE, first_of_each_name, interleave


@dataclass(frozen=True)
class Registration:
    name: str
    project: str | None = "demo"
    timely: bool = True
    soon: bool = True
    attempts: int = 0


def test_queues_take_turns_as_long_as_they_have_any() -> None:
    assert "".join(interleave(["abc", "1", "xy"], 0)) == "a1xbyc"


@pytest.mark.parametrize(("turn", "first"), [(0, "a"), (1, "1"), (2, "x"), (3, "a")])
def test_one_at_a_time_is_taken_from_each_in_turn(turn: int, first: str) -> None:
    assert list(islice(interleave(["abc", "123", "xyz"], turn), 1)) == [first]


def test_nothing_at_all() -> None:
    assert list(interleave([[], [], []], 5)) == []


def names(*registrations: Registration) -> list[str]:
    return [each.name for each in first_of_each_name(cast("Any", registrations))]


def test_one_registration_of_each_name_goes() -> None:
    assert names(Registration("a"), Registration("b"), Registration("a"), Registration("c")) == ["a", "b", "c"]


def test_a_number_that_a_platform_may_have_given_is_the_same_name() -> None:
    assert names(Registration("a"), Registration("a-2"), Registration("a-2-3"), Registration("a2")) == ["a", "a2"]


def test_other_projects_have_other_names() -> None:
    assert names(Registration("a"), Registration("a", project="other"), Registration("a", project=None)) == ["a"] * 3


def test_one_that_is_under_way_or_backs_off_is_waited_for() -> None:
    assert names(Registration("a", timely=False), Registration("a"), Registration("b")) == ["b"]


def test_one_that_fails_again_and_again_is_not_waited_for() -> None:
    assert names(Registration("a", timely=False, attempts=PATIENCE), Registration("a")) == ["a"]


def test_one_that_the_platform_has_put_off_for_long_is_not_waited_for() -> None:
    assert names(Registration("a", timely=False, soon=False, attempts=1), Registration("a")) == ["a"]
