"""Dead letters that are tried again when newer deliveries are there: old never goes over new."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.journals import Bench, Engine, bench, dead_pid

from journal.doctor.examination import examine
from journal.outbox.redelivery import Retried
from journal.records import Outcome, PlannedDelivery

ON_BOTH_ENGINES = True
TRIED, REPLACED = Retried(letters=1, replaced=0, runs=0), Retried(letters=0, replaced=1, runs=0)


@pytest.fixture
def registered(folder: Path, engine: Engine) -> Iterator[Bench]:
    """A run that the platform knows, whose session is over, so that its checkpoints keep no distance."""
    with bench(folder, engine, pid=dead_pid()) as at:
        at.register()
        yield at


def planned(at: Bench, kind: str, key: str, stage: int, body: str) -> PlannedDelivery:
    event = at.event(kind, {"publish": True}, key)
    if kind != "checkpoint":
        return at.planned(event, kind, stage, body)
    return replace(at.upload(key * 64, role="final" if key == "f" else "best", stage=stage), first_event=event)


def end(at: Bench, result: str) -> None:
    """Have everything that is due come to one end."""
    for claim in at.claim("message") + at.claim("upload"):
        at.record(Outcome(claim, result, error=None if result == "delivered" else "413"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (("epoch_end", "1"), ("epoch_end", "1"), (REPLACED, REPLACED)),
        (("epoch_end", "1"), ("epoch_end", "2"), (TRIED, TRIED)),
        (("console_output", "1"), ("console_output", "1"), (TRIED, TRIED)),
        (("checkpoint", "b"), ("checkpoint", "f"), (REPLACED, REPLACED)),
        (("checkpoint", "f"), ("checkpoint", "f"), (TRIED, REPLACED)),
        (("training_started", ""), ("training_complete", ""), (TRIED, REPLACED)),
        (("training_complete", ""), ("training_started", ""), (TRIED, REPLACED)),
        (("metrics", '{"0": "a", "1": "b"}'), ("metrics", '{"1": "c", "0": "d"}'), (REPLACED, REPLACED)),
        (("metrics", '{"0": "a", "1": "b"}'), ("metrics", '{"1": "c", "2": "d"}'), (TRIED, TRIED)),
    ],
)
@pytest.mark.parametrize("arrived", [False, True])
def test_a_dead_letter_that_was_replaced_is_not_tried_again(
    registered: Bench, old: tuple[str, str], new: tuple[str, str], expected: tuple[Retried, Retried], arrived: bool
) -> None:
    for stage, (kind, key), result in ((2, old, "dead"), (4, new, "delivered")):
        registered.plan(planned(registered, kind, key, stage, f'{{"metrics": {key if kind == "metrics" else "{}"}}}'))
        if result == "dead" or arrived:
            end(registered, result)
    assert registered.journal.retry() == expected[arrived]
    is_in_part = old[0] == "metrics" and expected[arrived] == TRIED
    assert registered.states()[1] == ("superseded" if expected[arrived] == REPLACED or is_in_part else "pending")


def test_what_arrived_elsewhere_replaces_nothing(registered: Bench) -> None:
    second = registered.outbox.routes.add_destination("ultralytics", "https://second.example")
    registered.outbox.routes.add(registered.run.id, second.id)
    registered.plan(planned(registered, "epoch_end", "1", 2, "{}"))
    end(registered, "dead")
    there = replace(registered, destination=second)
    there.register()
    there.plan(planned(registered, "epoch_end", "1", 2, "{}"))
    end(there, "delivered")
    assert registered.journal.retry() == TRIED


def test_only_those_that_are_named_are_given_up(registered: Bench) -> None:
    for result in ("dead", "delivered"):
        registered.plan(planned(registered, "epoch_end", "1", 2, "{}"), planned(registered, "epoch_end", "2", 2, "{}"))
        end(registered, result)
    assert registered.journal.retry([2]) == REPLACED
    assert registered.states()[1:3] == ["superseded", "dead"]


def test_of_metrics_only_the_epochs_that_nothing_newer_has_told_go_out_again(registered: Bench) -> None:
    old = '{"type": "metrics", "metrics": {"0": "a", "1": "b", "2": "c"}}'
    registered.plan(planned(registered, "metrics", "", 2, old))
    [first] = registered.claim()
    registered.record(Outcome(first, "dead", error="413"))
    registered.plan(planned(registered, "metrics", "", 4, '{"metrics": {"1": "newer"}}'))
    assert registered.journal.retry() == TRIED
    [again] = registered.claim()
    assert again.body == '{"type":"metrics","metrics":{"0":"a","2":"c"}}'
    assert (again.attempt, again.first_event, again.last_event) == (1, first.first_event, first.last_event)
    assert again.chunk_id != first.chunk_id
    assert registered.claim() == []  # the newer one is of a later stage
    registered.record(Outcome(again, "dead", error="413"))
    [newer] = registered.claim()
    registered.record(Outcome(newer, "delivered"))
    assert registered.journal.retry() == TRIED
    assert [claim.chunk_id for claim in registered.claim()] == [again.chunk_id]
    if not registered.journal.is_shared:
        assert [each.code for each in examine(registered.journal.path).findings if each.weight == "trouble"] == []
