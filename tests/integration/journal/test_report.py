"""What is told of a journal, in numbers."""

from __future__ import annotations

from datetime import timedelta

import pytest
from support.journals import Bench, change, later, rows

from journal.clock import from_text, utc_now
from journal.outbox.claims import UPLOAD_SPACING_SECONDS

ON_BOTH_ENGINES = True


def epoch(at: Bench, number: int, loss: float, **metrics: float) -> None:
    at.event("epoch_end", {"epoch": number, "metrics": {"train/loss": loss, **metrics}}, str(number))


@pytest.mark.parametrize("evaluated", [False, True])
@pytest.mark.parametrize("trained", [1, 3])
def test_epochs_are_counted_where_a_validator_gives_no_losses(at: Bench, trained: int, evaluated: bool) -> None:
    for number in range(trained):
        epoch(at, number, 3.0 - number, **{"metrics/acc": 0.5})
    if evaluated:  # at the end, when nothing is trained
        epoch(at, trained, 3.0 - (trained - 1), **{"metrics/acc": 0.6})
    assert at.journal.report()[0].epochs == trained
    assert rows(at.journal.path, "SELECT epochs FROM run_overview") == [(trained,)]


def test_the_last_epoch_is_told_by_the_order_of_the_run_and_not_by_when_it_came_in(at: Bench) -> None:
    late, *others = [(1, 2.0), (0, 3.0), (2, 1.0), (3, 1.0)]
    for number, loss in others:
        epoch(at, number, loss, **{"metrics/acc": 0.5})
    epoch(at, *late, **{"metrics/acc": 0.5})
    change(at.journal.path, "UPDATE events SET seq = seq + 100")
    change(at.journal.path, "UPDATE events SET seq = CAST(key AS INTEGER) + 1")
    assert at.journal.report()[0].epochs == 3
    assert rows(at.journal.path, "SELECT epochs FROM run_overview") == [(3,)]


def test_without_epochs_there_are_none(at: Bench) -> None:
    at.event("training_started")
    assert at.journal.report()[0].epochs == 0
    assert rows(at.journal.path, "SELECT epochs FROM run_overview") == [(0,)]


def test_a_checkpoint_that_keeps_its_distance_tells_until_when(at: Bench) -> None:
    at.register()
    at.plan(at.upload(at.checkpoint(b"one")))
    [target] = at.journal.report()[0].targets
    assert target.next_attempt_at is not None
    due = from_text(target.next_attempt_at)
    assert timedelta(0) < due - utc_now() <= timedelta(seconds=UPLOAD_SPACING_SECONDS)
    assert target.is_spaced
    assert at.claim("upload") == []


def test_what_else_is_due_is_told_first(at: Bench) -> None:
    at.register()
    at.plan(at.upload(at.checkpoint(b"one")), at.message(stage=2))
    [target] = at.journal.report()[0].targets
    assert target.next_attempt_at is not None
    assert from_text(target.next_attempt_at) <= utc_now()
    assert not target.is_spaced


def test_a_final_checkpoint_and_one_of_a_session_that_is_over_are_due(at: Bench) -> None:
    at.register()
    at.plan(at.upload(at.checkpoint(b"one")))
    at.writer.end_session(at.session_id, "exited")
    [target] = at.journal.report()[0].targets
    assert target.next_attempt_at is not None
    assert from_text(target.next_attempt_at) <= later(1)
