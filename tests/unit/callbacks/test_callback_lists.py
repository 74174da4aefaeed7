"""Ours runs last, whatever is done to the lists of a model or trainer."""

from __future__ import annotations

import copy
import pickle
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pytest

from uploader.callbacks.callback_lists import RecordedLists
from uploader.callbacks.trainer import Callback

EVENT = "on_fit_epoch_end"


@dataclass
class Ours:
    """Stands for what records."""

    platforms: frozenset[str] = frozenset()
    seen: list[str] = field(default_factory=list)

    def callback(self, event: str) -> Callback | None:
        return self._record if event == EVENT else None

    def _record(self, trainer: Any) -> None:
        trainer.append("ours")


def said(word: str) -> Callback:
    return lambda trainer: trainer.append(word)


def run(lists: RecordedLists, event: str = EVENT) -> list[str]:
    """Run an event as upstream's trainers do."""
    trainer: list[str] = []
    for callback in lists.get(event, []):
        callback(trainer)
    return trainer


@pytest.fixture
def lists() -> RecordedLists:
    return RecordedLists(defaultdict(list, {EVENT: [said("first")], "on_val_end": [said("val")]}), Ours())


def _append(lists: RecordedLists) -> None:
    lists[EVENT].append(said("late"))


def _insert(lists: RecordedLists) -> None:
    lists[EVENT].insert(0, said("late"))


def _clear(lists: RecordedLists) -> None:
    lists[EVENT] = []


def _reset(lists: RecordedLists) -> None:
    for event in lists:
        lists[event] = [said("default")]


def _lose(lists: RecordedLists) -> None:
    del lists[EVENT]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (_append, ["first", "late", "ours"]),
        (_insert, ["late", "first", "ours"]),
        (_clear, ["ours"]),
        (_reset, ["default", "ours"]),
        (_lose, ["ours"]),
    ],
)
def test_ours_is_last_whatever_is_done_to_the_list(
    lists: RecordedLists, change: Callable[[RecordedLists], None], expected: list[str]
) -> None:
    change(lists)
    assert run(lists) == expected
    assert len(lists.get(EVENT)) == len(expected)


def test_a_callback_that_is_added_by_another_one_runs_before_ours(lists: RecordedLists) -> None:
    lists[EVENT].append(lambda _: lists[EVENT].append(said("added")))
    assert run(lists) == ["first", "added", "ours"]


def test_other_events_are_as_they_were(lists: RecordedLists) -> None:
    assert lists.get("on_val_end") is lists["on_val_end"]
    assert lists.get("unknown", []) == []
    assert "unknown" not in lists


def test_it_equals_the_lists_that_it_was_made_of(lists: RecordedLists) -> None:
    """By which upstream decides whether a training on several data sets runs in this process."""
    assert lists == dict(lists)
    assert lists == defaultdict(list, lists)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, RecordedLists.copy])
def test_a_copy_records_too(lists: RecordedLists, copied: Callable[[RecordedLists], RecordedLists]) -> None:
    other = copied(lists)
    other[EVENT] = [said("of the copy")]
    assert run(other) == ["of the copy", "ours"]
    assert run(lists) == ["first", "ours"]


def test_it_is_pickled_with_what_records() -> None:
    lists = pickle.loads(pickle.dumps(RecordedLists({EVENT: [print]}, Ours(frozenset({"hub"})))))
    assert lists[EVENT] == [print]
    assert lists["new"] == []
    assert lists.recorder == Ours(frozenset({"hub"}))


@pytest.mark.parametrize(
    ("hub", "expected"), [(False, ["first", "hub", "late", "ours"]), (True, ["first", "late", "ours"])]
)
def test_upstreams_reporting_is_left_out_wherever_it_is_added(
    lists: RecordedLists, hub: bool, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("platform", "hub"):
        module = ModuleType(f"ultralytics.utils.callbacks.{name}")
        module.callbacks = {EVENT: said(name)}  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)
        lists[EVENT].append(module.callbacks[EVENT])  # type: ignore[attr-defined]
    lists[EVENT].append(said("late"))
    lists.recorder = Ours(frozenset({"hub"} if hub else {}))
    assert run(lists) == expected
