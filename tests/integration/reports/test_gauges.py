"""What `status --prometheus` tells of journals: names, labels and values on which dashboards and alerts are made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.journals import Bench, Engine, bench, later, rows

from journal.clock import from_text, to_text
from journal.read_only import glance
from journal.reading.backlog_figures import backlog_figures
from journal.records import Outcome
from uploader.reports.exposition import exposition
from uploader.reports.journal_gauges import journal_gauges
from uploader.reports.journal_status import status

NAMES = {
    "uploader_journal_up",
    "uploader_live_trainings",
    "uploader_drains",
    "uploader_fallback_files",
    "uploader_journal_bytes",
    "uploader_journal_limit_bytes",
    "uploader_runs",
    "uploader_runs_by_standing",
    "uploader_pending_messages",
    "uploader_pending_uploads",
    "uploader_pending_bytes",
    "uploader_claimed_deliveries",
    "uploader_unplanned_events",
    "uploader_oldest_pending_age_seconds",
    "uploader_dead_letters",
    "uploader_blocked_runs",
    "uploader_last_delivery_timestamp_seconds",
}


def _waiting(at: Bench) -> None:
    """Have a dead letter, two messages and an upload that wait, one of them claimed, and an event without delivery."""
    at.register()
    sha256 = at.checkpoint(b"weights", role="final")
    at.plan(*(at.message(stage=2, body='{"a":1}') for _ in range(3)), at.upload(sha256, "final", stage=2))
    refused, claimed = at.claim(limit=2)
    at.record(Outcome(refused, "dead", error="no"))
    assert claimed.lane == "message"
    at.event()


def _values(text: str) -> dict[str, dict[tuple[str, ...], float]]:
    parser = pytest.importorskip("prometheus_client.parser")
    families: list[Any] = list(parser.text_string_to_metric_families(text))
    assert len({one.name for one in families}) == len(families)
    return {one.name: {tuple(sample.labels.values()): sample.value for sample in one.samples} for one in families}


def test_of_a_journal_tell_what_waits_and_what_goes_on(tmp_path: Path) -> None:
    with bench(tmp_path / "journal") as at:
        _waiting(at)
        place = str(at.journal.path)
        seen = glance(at.journal.path, lambda _: (), with_backlog=True)
        settled = rows(at.journal.path, "SELECT settled_at FROM deliveries WHERE state = 'delivered'")[0][0]
    told = _values(exposition(journal_gauges({place: seen, "/gone": None}, 1000)))
    there = (place, "ultralytics", "https://platform.example")
    assert set(told) == NAMES
    assert told["uploader_journal_up"] == {(place,): 1, ("/gone",): 0}
    assert told["uploader_live_trainings"] == {(place,): 1}
    assert told["uploader_journal_limit_bytes"] == {(place,): 1000}
    assert told["uploader_runs"][place, "running"] == 1
    assert sum(told["uploader_runs"].values()) == sum(told["uploader_runs_by_standing"].values()) == 1
    assert told["uploader_runs_by_standing"][place, "trouble"] == 1
    assert told["uploader_pending_messages"] == {there: 2}
    assert told["uploader_pending_uploads"] == {there: 1}
    assert told["uploader_pending_bytes"] == {there: 2 * len('{"a":1}') + len(b"weights")}
    assert told["uploader_claimed_deliveries"] == {there: 1}
    assert told["uploader_unplanned_events"] == {there: 1}
    assert told["uploader_dead_letters"] == {there: 1}
    assert told["uploader_blocked_runs"] == {there: 0}
    assert told["uploader_last_delivery_timestamp_seconds"] == {there: from_text(settled).timestamp()}
    assert told["uploader_oldest_pending_age_seconds"][there] > 0


def test_an_address_is_told_without_what_may_be_a_secret(tmp_path: Path) -> None:
    with bench(tmp_path / "journal") as at:
        with at.journal.begin() as connection:
            connection.exec_driver_sql("UPDATE destinations SET base_url = 'https://me:hidden@platform.example'")
        seen = glance(at.journal.path, lambda _: (), with_backlog=True)
    assert "hidden" not in exposition(journal_gauges({"journal": seen}, None))


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_the_backlog_is_counted_where_it_waits(tmp_path: Path, engine: Engine) -> None:
    with bench(tmp_path / "journal", engine) as at:
        _waiting(at)
        [found] = at.journal.backlog()
        assert (found.pending, found.messages, found.uploads, found.claimed, found.unplanned) == (3, 2, 1, 1, 1)
        assert (found.dead, found.blocked, found.bytes) == (1, 0, 21)
        oldest, now = found.oldest_at, later(60)
        assert oldest is not None
        with at.journal.begin(read_only=True) as connection:
            [aged] = backlog_figures(connection, now)
        assert aged.oldest_age_seconds == round((now - from_text(oldest)).total_seconds(), 3)
        at.record(*(Outcome(claim, "delivered") for lane in ("message", "upload") for claim in at.claim(lane)))


def test_what_was_delivered_long_ago_is_still_told(tmp_path: Path) -> None:
    with bench(tmp_path / "journal") as at:
        at.register()
        with at.journal.begin() as connection:  # so many others have come since
            connection.exec_driver_sql("UPDATE deliveries SET id = 1")
            connection.exec_driver_sql("INSERT INTO destinations VALUES (2, 'ultralytics', 'https://other.example')")
            connection.exec_driver_sql(
                "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 10050)"
                " INSERT INTO deliveries SELECT i, run_id, 2, i, kind, lane, stage, first_event, last_event, body,"
                " sha256, role, 'superseded', 0, next_attempt_at, held, owner, lease_until, fence, last_error, receipt,"
                " created_at, settled_at, span FROM deliveries, n"
            )
        first, other = at.journal.backlog()
        assert (first.last_delivery_at is None, other.last_delivery_at) == (False, None)


def test_the_same_figures_are_in_the_words_of_json(tmp_path: Path) -> None:
    with bench(tmp_path / "journal") as at:
        _waiting(at)
        found = status(at.journal.path)
        [waits] = found.backlog
        assert (waits.pending, waits.unplanned, found.live_sessions, found.drains) == (3, 1, 1, ())
        assert waits.oldest_at is not None
        assert waits.oldest_at <= to_text(later(1))
