"""Which epochs of a trainer's record the journal lacks."""

from __future__ import annotations

import math
from typing import Any

import pytest

from journal.metrics import is_same
from journal.sessions.identity import SALVAGE
from journal.sessions.lost_epochs import LostEpoch, RecordedEpoch, TrainedEpoch, lost_epochs

Row = tuple[int, float]


def lost(trained: list[Row], recorded: list[tuple[int, float, int]], newest: int = 9, **more: Any) -> list[Any]:
    """Return number, loss and generation of the epochs that are lost; epochs are told apart by their training loss."""
    rows = [TrainedEpoch(number, {"train/loss": loss, "val/loss": 1.0}, "results.csv") for number, loss in trained]
    known = [
        RecordedEpoch(number, {"train/loss": loss, "val/loss": 1.0}, generation)
        for number, loss, generation in recorded
    ]
    found = lost_epochs("run", rows, known, newest, **more)
    return [(one.epoch.number, one.epoch.metrics["train/loss"], one.generation) for one in found]


def test_nothing_is_lost_of_what_is_recorded() -> None:
    assert lost([(0, 0.5), (1, 0.4)], [(0, 0.5, 1), (1, 0.4, 1)]) == []


def test_the_last_epoch_is_lost_of_a_training_that_was_killed_before_its_end() -> None:
    assert lost([(0, 0.5), (1, 0.4)], [(0, 0.5, 1)], 1) == [(1, 0.4, 1)]


def test_all_epochs_are_lost_with_a_journal() -> None:
    assert lost([(0, 0.5), (1, 0.4)], []) == [(0, 0.5, 1), (1, 0.4, 1)]


def test_a_gap_is_filled() -> None:
    assert lost([(0, 0.5), (1, 0.4), (2, 0.3)], [(0, 0.5, 1), (2, 0.3, 3)]) == [(1, 0.4, 1)]


def test_an_epoch_that_was_trained_again_is_the_later_one_and_takes_the_place_of_the_first() -> None:
    trained = [(0, 0.5), (1, 0.4), (2, 0.3), (1, 0.39), (2, 0.29)]
    recorded = [(0, 0.5, 4), (1, 0.4, 4), (2, 0.3, 4)]
    assert lost(trained, recorded) == [(1, 0.39, 5), (2, 0.29, 5)]
    assert lost(trained, [*recorded, (1, 0.39, 6)]) == [(2, 0.29, 6)]
    assert lost(trained, []) == [(0, 0.5, 1), (1, 0.39, 2), (2, 0.29, 2)]


def test_an_epoch_that_was_replaced_does_not_come_back() -> None:
    assert lost([(0, 0.5), (1, 0.4), (1, 0.39)], [(0, 0.5, 1), (1, 0.39, 2)]) == []
    assert lost([(0, 0.5), (1, 0.4), (0, 0.6), (1, 0.39)], [(1, 0.39, 2)]) == [(0, 0.6, 2)]


def test_no_epoch_is_of_a_later_session_than_the_one_that_wrote_the_record() -> None:
    assert lost([(0, 0.5), (0, 0.4)], [], 1) == [(0, 0.4, 1)]


def test_the_record_of_another_training_is_left_alone() -> None:
    assert lost([(0, 0.9), (1, 0.8), (2, 0.7)], [(0, 0.5, 1), (1, 0.4, 1)]) == []


def test_a_record_that_begins_where_the_journal_ends_is_taken() -> None:
    assert lost([(2, 0.3)], [(0, 0.5, 1), (1, 0.4, 1)], 2) == [(2, 0.3, 1)]


def test_of_a_pruned_run_or_a_used_folder_only_what_follows_is_lost() -> None:
    trained = [(0, 0.5), (1, 0.4), (2, 0.3)]
    assert lost(trained, [(1, 0.4, 2)], must_agree=True) == [(2, 0.3, 2)]
    assert lost(trained, [], must_agree=True) == []


def test_a_final_evaluation_is_no_epoch() -> None:
    evaluated = RecordedEpoch(1, {"train/loss": 0.5, "metrics/mAP": 0.1}, 1)
    trained = [TrainedEpoch(n, {"train/loss": 0.5 - n, "val/loss": 1.0, "metrics/mAP": 0.1}, "x") for n in range(3)]
    first, last = (RecordedEpoch(number, trained[number].metrics, 1) for number in (0, 2))
    found = lost_epochs("run", trained, [first, evaluated, last], 2)
    assert [one.epoch.number for one in found] == [1]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"train/a": 1.23457}, {"train/a": 1.234567}, True),
        ({"train/a": 1.0, "metrics/b": 0.0}, {"train/a": 2.0, "metrics/b": 0.0}, False),
        ({"train/a": 1.0, "val/b": 1.0}, {"train/a": 1.0, "val/b": 2.0}, True),  # changed by somebody's callback
        ({"val/a": 1.0, "val/b": 1.0, "val/c": 1.0}, {"val/a": 1.0, "val/b": 1.0, "val/c": 2.0}, True),
        ({"val/a": 1.0, "val/b": 1.0}, {"val/a": 1.0, "val/b": 2.0}, False),
        ({"train/a": math.nan, "val/b": 1.0}, {"train/a": None, "val/b": 1.0}, True),
        ({"train/a": math.inf}, {"train/a": 1.0}, False),
        ({"train/a": 1.0}, {"loss": 1.0}, True),  # nothing tells them apart
    ],
)
def test_an_epoch_is_recognised_by_its_training_losses(one: Any, other: Any, same: bool) -> None:
    assert is_same(one, other) is same


def test_two_copies_record_a_lost_epoch_alike() -> None:
    def session(generation: int, loss: float = 0.5) -> Any:
        return LostEpoch("run", TrainedEpoch(3, {"train/loss": loss}, "results.csv"), generation).salvaging()

    assert session(1).uuid == session(2).uuid != session(1, 0.4).uuid
    assert (session(2).generation, session(2).purpose, session(2).next()) == (2, SALVAGE, 1)
