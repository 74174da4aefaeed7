"""Epochs that a journal lacks although it has later ones."""

from __future__ import annotations

from typing import Any

import pytest
from support.journals import Bench, change

from journal.reading.epoch_gaps import missing_epochs

ON_BOTH_ENGINES = True


def missing(at: Bench, *numbers: int, generation: int = 1, **started: Any) -> list[int]:
    """Record the start and the ends of these epochs; return which are missing."""
    at.event("training_started", started, "1")
    for number in numbers:
        at.event("epoch_end", {"epoch": number}, str(number))
    change(at.journal.path, "UPDATE sessions SET generation = ?", generation)
    found = at.journal.missing_epochs()
    assert found.keys() <= {at.run.id}
    return list(found.get(at.run.id, ()))


@pytest.mark.parametrize(
    ("numbers", "gaps"),
    [
        ((), []),
        ((0, 1, 2), []),
        ((0, 1, 4), [2, 3]),
        ((0, 2, 3, 6), [1, 4, 5]),
        ((4, 0, 1), [2, 3]),
        ((4, 9, 14), []),  # a loop of one's own that tells of every fifth
        ((1, 2, 3), []),  # one that counts from 1
    ],
)
def test_the_epochs_between_those_that_are_known_are_missing(at: Bench, numbers: tuple[int, ...], gaps: Any) -> None:
    assert missing(at, *numbers) == gaps


@pytest.mark.parametrize(
    ("started", "generation", "gaps"),
    [
        ({}, 2, [0, 1]),  # the journal of the session before is lost
        ({"trainArgs": {"resume": "runs/last.pt"}}, 1, [0, 1]),  # nobody recorded it
        ({"trainArgs": {"resume": "False"}}, 1, []),
        ({"trainArgs": {"resume": "None"}}, 1, []),
        ({"trainArgs": {"resume": "x"}, "environment": {"platformModel": "m-1"}}, 1, []),  # the model has them
    ],
)
def test_those_before_a_training_that_was_resumed_are_missing(
    at: Bench, started: dict[str, Any], generation: int, gaps: list[int]
) -> None:
    assert missing(at, 2, 3, generation=generation, **started) == gaps


def test_steps_that_a_trainer_does_not_log_are_not_missing(at: Bench) -> None:
    for number in (3, 6, 7, 9):
        at.event("epoch_end", {"epoch": number, "revision": 1}, str(number))
    assert at.journal.missing_epochs() == {}


def test_keys_that_are_no_numbers_are_passed_over(at: Bench) -> None:
    at.event("epoch_end", {}, "warm-up")
    assert missing(at, 5, 6) == []


def test_of_a_pruned_run_nothing_can_be_said(at: Bench) -> None:
    assert missing(at, 0, 1, 3) == [2]
    with at.journal.begin(read_only=True) as connection:
        assert missing_epochs(connection, {at.run.id}) == {}
