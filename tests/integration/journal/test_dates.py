"""Times of a clock that was ahead for a moment: none is believed further ahead than its rule could have meant."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from support.journals import IN_A_FILE, Bench, change, dead_pid, later

from journal.checkpoints.blobs import STALE_SECONDS
from journal.clock import from_text, to_text, utc_now
from journal.outbox.backlog import registering
from journal.records import Lane, Outcome
from journal.schema import plausible_times

ON_BOTH_ENGINES = True
SHA = "1" * 64
HOUR, YEAR = 3600.0, 365 * 86400.0


@pytest.fixture
def registered(at: Bench) -> Bench:
    at.register()
    return at


def next_due(at: Bench, lane: Lane, now: datetime) -> datetime | None:
    return at.next_due(lane, now=now)


@pytest.mark.parametrize(
    ("ahead", "held", "is_kept"),
    [(290, False, True), (600, False, False), (HOUR, True, True), (2 * HOUR, True, False), (YEAR, True, False)],
)
def test_a_wait_is_no_longer_than_its_rule_allows(registered: Bench, ahead: float, held: bool, is_kept: bool) -> None:
    registered.plan(registered.message(stage=2))
    due, now = to_text(later(ahead)), utc_now()
    registered.record(Outcome(registered.claim()[0], "retry", error="503", next_attempt_at=due, held=held))
    assert next_due(registered, "message", now) == (from_text(due) if is_kept else from_text(to_text(now)))
    [run] = registered.journal.report()
    assert (run.targets[0].next_attempt_at == due) == (ahead <= HOUR)
    assert (registered.claim() == []) == is_kept


def test_what_is_due_is_not_hidden_by_what_is_not_believed(registered: Bench) -> None:
    registered.plan(registered.message(stage=2), registered.message(stage=2))
    first, second = registered.claim()
    registered.record(Outcome(first, "retry", next_attempt_at=to_text(later(100))))
    registered.record(Outcome(second, "retry", next_attempt_at=to_text(later(YEAR))))
    now = utc_now()
    assert next_due(registered, "message", now) == from_text(to_text(now))


def test_a_lease_from_the_future_is_over(registered: Bench) -> None:
    registered.plan(registered.message(stage=2))
    (first,) = registered.claim(lease_seconds=60, now=later(YEAR))
    (second,) = registered.claim(lease_seconds=60)
    assert second.fence == first.fence + 1
    assert registered.claim() == []


def test_a_registration_that_waits_until_next_year_is_awaited_now(at: Bench) -> None:
    at.plan(at.message("training_started"))
    change(at.journal.path, "UPDATE deliveries SET next_attempt_at = ?", to_text(later(YEAR)))
    there = {"destination_id": at.destination.id, "run_ids": None, **plausible_times.values(utc_now())}
    with at.outbox.begin(read_only=True) as connection:
        assert registering(connection, there) == 1


@pytest.mark.parametrize(("ahead", "waits"), [(60, True), (HOUR, False), (YEAR, False)])
def test_uploads_of_a_live_run_keep_no_distance_to_the_future(registered: Bench, ahead: float, waits: bool) -> None:
    registered.event("checkpoint", {"publish": True, "sha256": SHA}, "last")
    registered.plan(registered.upload(SHA, "last", 2))
    change(registered.journal.path, "UPDATE targets SET last_upload_at = ?", to_text(later(ahead)))
    due = next_due(registered, "upload", utc_now())
    assert due is not None
    assert (due > later(ahead)) == waits
    assert (registered.claim("upload") == []) == waits


@pytest.mark.parametrize(("ahead", "is_live"), [(60, True), (HOUR, False), (YEAR, False)])
def test_a_heartbeat_from_the_future_proves_no_life(at: Bench, ahead: float, is_live: bool) -> None:
    change(at.journal.path, "UPDATE sessions SET host = 'elsewhere', heartbeat_at = ?", to_text(later(ahead)))
    assert at.outbox.live_runs(utc_now()) == [at.run.id] * is_live
    otherwise = "silent" if at.journal.is_shared else "interrupted"  # as of any that is not heard of
    assert at.journal.report()[0].state == ("running" if is_live else otherwise)


def test_a_process_that_is_seen_here_is_alive_whatever_its_clock_said(at: Bench) -> None:
    change(at.journal.path, "UPDATE sessions SET heartbeat_at = ?", to_text(later(YEAR)))
    assert at.outbox.live_runs(utc_now()) == [at.run.id]
    change(at.journal.path, "UPDATE sessions SET pid = ?", dead_pid())
    assert at.outbox.live_runs(utc_now()) == []


@IN_A_FILE
def test_a_dead_nodes_checkpoint_is_salvaged(at: Bench, tmp_path: Path) -> None:
    (tmp_path / "best.pt").write_bytes(b"weights")
    file = {"role": "best", "path": str(tmp_path / "best.pt"), "publish": True, "isBest": True}
    at.event("model_saved", {"epoch": 2, "files": [file]}, "2")
    change(at.journal.path, "UPDATE sessions SET host = 'elsewhere', heartbeat_at = ?", to_text(later(YEAR)))
    assert at.journal.salvage() == 1


def test_a_copy_that_a_killed_process_left_in_the_future_is_swept(at: Bench) -> None:
    left = at.journal.blobs.folder / ".tmp-1-left"
    left.touch()
    now = utc_now().timestamp()
    os.utime(left, (now + 2 * STALE_SECONDS,) * 2)
    at.journal.blobs.sweep(now)
    assert not left.exists()


def test_the_bounds_are_those_of_the_rules_that_write_the_times() -> None:
    from uploader.delivery.timing import Timing

    assert timedelta(seconds=Timing.lease) <= plausible_times.LEASE
