"""What is written down of attempts that came to their ends together."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from journal.clock import utc_now
from journal.outbox.outbox import Outbox
from journal.records import Claim, Run
from uploader.delivery.attempt import Finished
from uploader.delivery.outcomes import Outcomes
from uploader.platforms.base import Receipt


class Unwritten:
    """A settlement that knows no model yet."""

    def model_of_another(self, claim: Claim, model_id: object) -> str | None:
        return None


def registered(name: str, destination_id: int = 1, *, is_new: bool = True) -> Finished:
    run = Run(f"uuid-{name}", "demo", name, "/runs/train", "2026-11-21T00:00:00.000000Z")
    claim = Claim(1, "c" * 64, run, destination_id, {}, "training_started", "message", "{}", None, 1, 1, 1, 1)
    return Finished(claim, Receipt({}, {"modelId": "m-1"}, is_new=is_new))


def results(*finished: Finished) -> list[Any]:
    outcomes = Outcomes(cast(Outbox, SimpleNamespace(settlement=Unwritten(), now=utc_now)), lambda: 0.0)
    outcomes.finished += finished
    return [outcome.result for outcome in outcomes.judge()]


def test_two_runs_are_not_given_one_model_at_once() -> None:
    assert results(registered("one"), registered("two")) == ["delivered", "retry"]


def test_two_platforms_may_use_the_same_ids() -> None:
    assert results(registered("one"), registered("two", 2)) == ["delivered", "delivered"]


def test_two_runs_may_go_on_with_one_model() -> None:
    assert results(registered("one"), registered("two", is_new=False)) == ["delivered", "delivered"]
