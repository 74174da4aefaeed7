from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journal.clock import from_text
from journal.records import Claim, Outcome, Run
from uploader.delivery.retry_policy import FIRST_WAIT, LONGEST_WAIT, backoff, outcome_of_failure
from uploader.errors import (
    BlobUnusable,
    CredentialsRefused,
    Forbidden,
    Interrupted,
    NoKey,
    Refused,
    RunGone,
    Transient,
    UnknownOutcome,
    Unreachable,
)

NOW = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)


def claim(kind: str = "epoch_end", ids: dict[str, str] | None = None, attempt: int = 1) -> Claim:
    run = Run("uuid", "demo", "train", "/runs/train", "2026-11-21T00:00:00.000000Z")
    ids = {"modelId": "m-1"} if ids is None else ids
    return Claim(1, "c" * 64, run, 1, ids, kind, "message", "{}", None, attempt, 1, 1, 1)


def outcome(error: Exception, it: Claim | None = None, *, replaced: bool = False, random: float = 0.0) -> Outcome:
    return outcome_of_failure(it or claim(), error, now=NOW, random=lambda: random, replaced=replaced)


def wait_of(it: Outcome) -> float:
    assert it.next_attempt_at is not None
    return (from_text(it.next_attempt_at) - NOW) / timedelta(seconds=1)


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_waits_grow_are_jittered_and_bounded(failures: int, random: float) -> None:
    wait = backoff(failures, lambda: random)
    assert FIRST_WAIT / 2 <= wait <= LONGEST_WAIT
    assert backoff(failures, lambda: 0.0) <= wait <= 2 * backoff(failures, lambda: 0.0)
    assert wait <= backoff(failures + 1, lambda: random)


@pytest.mark.parametrize("error", [Unreachable("away"), NoKey("none"), Interrupted("stop")])
def test_what_is_not_the_deliverys_fault_is_not_counted(error: Exception) -> None:
    it = outcome(error, replaced=True)
    assert (it.result, it.error, it.next_attempt_at) == ("release", str(error), None)


def test_what_a_refused_key_came_with_may_have_arrived() -> None:
    it = outcome(CredentialsRefused("no"))
    assert (it.result, it.error, it.next_attempt_at) == ("retry", "no", None)


@pytest.mark.parametrize("error", [Transient("500", status=500), UnknownOutcome("reset"), KeyError("a fault of ours")])
def test_other_failures_are_tried_again_later(error: Exception) -> None:
    first, fifth = outcome(error), outcome(error, claim(attempt=5))
    assert first.result == fifth.result == "retry"
    assert not first.held
    assert wait_of(first) < wait_of(fifth)


def test_the_platforms_own_wait_wins_when_it_is_longer() -> None:
    it = outcome(Transient("busy", status=429, retry_after=120))
    assert (it.result, it.held, wait_of(it)) == ("retry", True, 120)
    assert wait_of(outcome(Transient("busy", status=429, retry_after=0))) == FIRST_WAIT / 2


def test_a_refusal_is_a_dead_letter_of_that_delivery_alone() -> None:
    it = outcome(Refused("host answered 422", status=422))
    assert (it.result, it.block, it.error) == ("dead", None, "host answered 422")


def test_a_run_that_is_gone_there_is_blocked() -> None:
    it = outcome(RunGone("the model was deleted", status=404))
    assert (it.result, it.block) == ("dead", "the model was deleted")


def test_a_run_that_cannot_be_registered_is_blocked() -> None:
    for error in (Refused("400: no", status=400), Forbidden("403: no", status=403)):
        assert outcome(error, claim("training_started", ids={})).block == str(error)
        assert outcome(error, claim("training_started")).block is None


@pytest.mark.parametrize(("replaced", "result"), [(True, "superseded"), (False, "dead")])
def test_unusable_bytes_are_dead_unless_a_newer_checkpoint_replaces_them(replaced: bool, result: str) -> None:
    assert outcome(BlobUnusable("gone"), replaced=replaced).result == result


def test_a_checkpoint_that_failed_is_not_sent_after_a_newer_one() -> None:
    assert outcome(Transient("500", status=500), replaced=True).result == "superseded"
    assert outcome(Refused("422", status=422), replaced=True).result == "dead"


def test_an_error_without_words_is_named() -> None:
    assert outcome(ValueError()).error == "ValueError"
