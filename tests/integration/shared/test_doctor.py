"""`doctor` of a shared journal: what is wrong there, each with its code, its weight and a next step."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import Connection
from support.journals import bench, later, until
from support.postgres_server import empty_journal
from support.shared_twin import shared_twin

from journal.clock import utc_now
from journal.doctor import shared_checks
from journal.opening import open_shared
from journal.records import Outcome
from uploader.__main__ import main

_WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


@pytest.fixture
def url() -> Iterator[str]:
    """The URL of a shared journal without runs."""
    with empty_journal() as found:
        with open_shared(found) as opened, opened.begin() as connection:
            connection.exec_driver_sql("INSERT INTO facts VALUES ('journal', 'uuid') ON CONFLICT DO NOTHING")
        yield found


def examined(url: str, code: int = 0) -> dict[str, Any]:
    """Return what `doctor --json` finds, by code."""
    result = CliRunner().invoke(main, ["doctor", "--json", "--journal", url])
    assert result.exit_code == code, result.output
    told = json.loads(result.output)
    assert told["healthy"] is (code == 0)
    assert all(one["next_step"] for one in told["findings"])
    return {one["code"]: one for one in told["findings"]}


def test_of_a_sound_one_is_content_and_tells_where_it_is(url: str) -> None:
    assert examined(url) == {}
    told = CliRunner().invoke(main, ["doctor", "--journal", url]).output
    assert told.startswith("postgresql://")
    assert "healthy, 0 events, 0 checkpoints" in told
    assert (
        "--repair is for a journal in a folder"
        in CliRunner().invoke(main, ["doctor", "--repair", "--journal", url]).output
    )


def test_names_what_cannot_be_opened(url: str) -> None:
    assert examined("postgresql://somebody@127.0.0.1:1/database", code=1).keys() == {"journal-unreachable"}
    assert examined(url.replace("/journal_", "/no_journal_"), code=1).keys() == {"journal-unusable"}
    assert examined(re.sub(r"/journal_\d+", "/postgres", url), code=1).keys() == {"no-journal"}


def test_names_the_rights_that_are_missing(url: str) -> None:
    with open_shared(url) as opened:
        with opened.begin() as connection:
            connection.exec_driver_sql("CREATE ROLE partly LOGIN")
            connection.exec_driver_sql("GRANT USAGE ON SCHEMA uploader TO partly")
            connection.exec_driver_sql("GRANT SELECT ON ALL TABLES IN SCHEMA uploader TO partly")
        try:
            found = examined(url.replace("//postgres", "//partly", 1))
            assert found["read-only"]["weight"] == "notice"
            with opened.begin() as connection:
                connection.exec_driver_sql("GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA uploader TO partly")
                connection.exec_driver_sql("REVOKE DELETE ON deliveries FROM partly")
            found = examined(url.replace("//postgres", "//partly", 1), code=1)
            assert found["rights-missing"]["detail"] == "this user lacks rights: DELETE on deliveries"
        finally:
            with opened.begin() as connection:
                connection.exec_driver_sql("DROP OWNED BY partly")
                connection.exec_driver_sql("DROP ROLE partly")


@pytest.mark.parametrize(("seconds", "weight", "code"), [(600, "trouble", 1), (-20, "notice", 0)])
def test_compares_the_clocks(url: str, monkeypatch: pytest.MonkeyPatch, seconds: int, weight: str, code: int) -> None:
    monkeypatch.setattr(shared_checks, "utc_now", lambda: utc_now() + timedelta(seconds=seconds))
    found = examined(url, code)["clocks-differ"]
    assert found["weight"] == weight
    assert ("ahead of" if seconds > 0 else "behind") in found["detail"]


def test_finds_who_keeps_others_waiting(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_checks, "_LONG", timedelta(minutes=-1))  # what goes on now counts as long

    def lock(connection: Connection) -> None:
        connection.exec_driver_sql("SET LOCAL lock_timeout = 0")  # however long the machine stalls
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7)")

    def wait() -> None:
        with open_shared(url) as opened, opened.begin(read_only=True) as connection:
            lock(connection)

    def is_waiting() -> bool:
        with third.begin(read_only=True) as looking:  # what it tells stays the same within a transaction
            return looking.exec_driver_sql(_WAITING).scalar() == 1

    with open_shared(url) as other, open_shared(url) as third, other.begin(read_only=True) as connection:
        lock(connection)
        waits = threading.Thread(target=wait)
        waits.start()
        until(is_waiting)
        found = examined(url, code=1)
    waits.join()
    assert "uploader (process " in found["transactions-long"]["detail"]
    assert found["locks-waited-for"]["weight"] == "trouble"


def test_finds_drains_that_are_gone_and_what_waits_for_one(tmp_path: Path) -> None:
    with bench(tmp_path / "journal") as at:
        at.register()
        at.plan(at.message(stage=2), at.message(stage=2))
        (refused, _) = at.claim(now=later(-3600))
        at.record(Outcome(refused, "dead", error="no"))
        url = shared_twin(at.journal.path)
    with open_shared(url) as opened, closing(opened.outbox()) as outbox:
        told = json.dumps({"pid": 7, "host": "lost", "warnings": [], "started_at": "2026"})
        outbox.drains.beat("a", host="lost", pid=7, version="", told=told, now=later(-3600))
        found = examined(url, code=1)
        assert {"drains-silent", "claims-left", "no-drain", "dead-letters"} == found.keys()
        assert "process 7 on lost" in found["drains-silent"]["detail"]
        assert "1 delivery claimed" in found["claims-left"]["detail"]
        outbox.drains.beat("b", host="here", pid=8, version="", told=told, now=outbox.now())
        assert "no-drain" not in examined(url, code=1)


def test_finds_checkpoints_that_are_gone_and_runs_that_go_nowhere(tmp_path: Path) -> None:
    with bench(tmp_path / "journal") as at:
        at.register()
        sha256 = at.checkpoint(b"weights", role="final")
        at.plan(at.upload(sha256, "final", stage=2))
        alone = at.writer.start_run(project=None, name="alone", save_dir="/x")
        at.writer.append(alone.id, at.writer.start_session(alone.id), "epoch_end", {})
        url = shared_twin(at.journal.path)
    found = examined(url, code=1)
    assert sha256 in found["blobs-missing"]["detail"]
    assert found["runs-nowhere"]["detail"] == "1 run with events that go nowhere yet: alone"


def test_tells_of_connections_that_nobody_uses(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_checks, "_IDLE", timedelta(minutes=-1))
    monkeypatch.setattr(shared_checks, "_MANY_IDLE", 0)
    monkeypatch.setattr(shared_checks, "_FULL", 0.0)
    with open_shared(url) as other:
        with other.begin(read_only=True) as connection:
            connection.exec_driver_sql("SELECT 1")
        found = examined(url, code=1)
    assert found["connections-idle"]["weight"] == "notice"
    assert "connections of the server are in use" in found["connections-full"]["detail"]
