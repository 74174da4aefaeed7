"""What a repair brings over from a damaged journal, and that the old one stays as it is."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path
from random import Random

import pytest
from support.damage import blob, contents, overwrite, statement
from support.disks import fill, small_disk
from support.journals import bench, rows

import journal
from journal.doctor import Recovery, examine, recover_journal
from journal.errors import CorruptJournal, DiskFull, JournalUnwritable

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
TABLES = (
    "facts",
    "runs",
    "sessions",
    "events",
    "blobs",
    "destinations",
    "targets",
    "deliveries",
    "attempts",
    "signals",
)
PAGE = 4096


def recovered(folder: Path) -> Recovery:
    """Repair, and check what holds for every repair."""
    before = contents(folder)
    recovery = recover_journal(folder, NOW)
    assert contents(folder) == before
    assert recovery.folder == folder.with_name("journal-recovered-20260102T030405Z")
    found = {finding.code for finding in examine(recovery.folder, deep=True, fallback_folders=[]).findings}
    assert found <= {"dead-letters", "run-refused"}  # what a repair sets aside, it tells by these
    assert recovery.kept.items() >= {name: len(table(recovery.folder, name)) for name in TABLES}.items()
    assert [path.name for path in recovery.folder.iterdir() if not path.name.startswith("journal.db")] == ["blobs"]
    return recovery


def table(folder: Path, name: str) -> dict[int, tuple[object, ...]]:
    return {row[0]: row[1:] for row in rows(folder, f"SELECT rowid, * FROM {name}")}


def without_claims(folder: Path) -> dict[int, tuple[object, ...]]:
    query = "SELECT id, chunk_id, body, replace(state, 'claimed', 'pending'), attempts, fence, receipt FROM deliveries"
    return {row[0]: row[1:] for row in rows(folder, query)}


def test_everything_comes_over_when_only_the_schema_is_gone(folder: Path) -> None:
    statement(folder, "INSERT INTO destinations (platform, base_url) VALUES ('hub', '')")  # chosen by its name
    whole = {name: table(folder, name) for name in TABLES if name not in {"deliveries", "facts"}}
    deliveries, own_name = without_claims(folder), table(folder, "facts")[1]
    overwrite(folder / "journal.db", 100, b"\xff" * (PAGE - 100))
    recovery = recovered(folder)
    assert {name: table(recovery.folder, name) for name in whole} == whole
    assert without_claims(recovery.folder) == deliveries
    assert table(recovery.folder, "facts")[1] == own_name
    assert recovery.blobs == 3


def test_claimed_deliveries_are_pending_again(folder: Path) -> None:
    statement(folder, "UPDATE events SET session_id = 99 WHERE id = 5")
    recovery = recovered(folder)
    states = "SELECT state, count(*) FROM deliveries GROUP BY state"
    assert dict(rows(folder, states))["claimed"] == 8
    assert "claimed" not in dict(rows(recovery.folder, states))
    assert rows(recovery.folder, "SELECT count(*) FROM deliveries WHERE owner IS NOT NULL") == [(0,)]


def test_any_page_may_be_lost_and_the_others_come_over(folder: Path) -> None:
    """Each page in turn: what is lost are rows that this page holds a part of, and nothing else."""
    whole, random = table(folder, "events"), Random(1)
    original = (folder / "journal.db").read_bytes()
    pages = range(len(original) // PAGE)
    for page in sorted({*pages[:35:2], *random.sample(pages, 10)}):
        overwrite(folder / "journal.db", 0, original)
        overwrite(folder / "journal.db", page * PAGE, random.choice([bytes(PAGE), random.randbytes(PAGE)]))
        if examine(folder, fallback_folders=[]).healthy:
            continue  # a page that nothing uses, or only an index that is not needed
        recovery = recover_journal(folder, NOW)
        kept = table(recovery.folder, "events")
        missing = {event for event in whole if kept.get(event) != whole[event]}
        assert missing <= rows_on(original, page, whole), f"page {page + 1}"
        assert not missing or recovery.lost
        for path in sorted(recovery.folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        recovery.folder.rmdir()


def rows_on(database: bytes, page: int, events: dict[int, tuple[object, ...]]) -> set[int]:
    """Return the events that have a part on the page, as far as their payload's text shows it."""
    content = database[page * PAGE : (page + 1) * PAGE]
    found = {event for event, row in events.items() if str(row[-2]).encode() in content}  # its time, at its end
    spread = {event for event, row in events.items() if len(str(row[-3])) > PAGE - 100}
    return found | {event for event in spread if any(part in content for part in _samples(str(events[event][-3])))}


def _samples(payload: str) -> list[bytes]:
    return [payload[start : start + 40].encode() for start in range(0, len(payload) - 40, 500)]


def test_damaged_rows_do_not_come_over_and_are_named(folder: Path) -> None:
    statement(folder, "UPDATE events SET payload = '{\"chu' WHERE id = 50")
    statement(folder, "UPDATE deliveries SET body = replace(body, 'x', 'y') WHERE id = 40")
    recovery = recovered(folder)
    assert 50 not in table(recovery.folder, "events")
    assert rows(recovery.folder, "SELECT state, attempts FROM deliveries WHERE id = 40") == [("dead", 0)]
    assert recovery.lost == ["1 event with a payload that is no JSON"]
    assert recovery.changed == ["1 delivery with a damaged body, now a dead letter"]


def test_a_damaged_checkpoint_is_left_behind_and_named(folder: Path) -> None:
    lost = blob(folder, "final")
    overwrite(lost, 100, b"flip")
    statement(folder, "UPDATE events SET session_id = 99 WHERE id = 5")
    recovery = recovered(folder)
    assert rows(recovery.folder, "SELECT state FROM blobs WHERE sha256 = ?", lost.name) == [("removed",)]
    assert any(lost.name in line for line in recovery.lost)
    assert recovery.blobs == 2


def test_a_run_whose_target_is_lost_is_blocked_not_sent_anew(folder: Path) -> None:
    statement(folder, "UPDATE targets SET ids = '{'")
    recovery = recovered(folder)
    planned, stage = rows(folder, "SELECT planned_through, stage FROM targets")[0]
    assert rows(recovery.folder, "SELECT state, planned_through, stage FROM targets") == [("blocked", planned, stage)]


def test_runs_and_sessions_are_made_again_from_their_events(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "journal.db")) as connection, connection:
        connection.execute("DELETE FROM runs")
        connection.execute("DELETE FROM sessions")
    whole = table(folder, "events")
    recovery = recovered(folder)
    assert table(recovery.folder, "events") == whole
    assert rows(recovery.folder, "SELECT name FROM runs") == [("recovered",)]
    assert (recovery.lost, recovery.changed) == ([], ["1 run known by events only, called `recovered`"])


def test_what_is_lost_by_its_references_is_not_told_as_saved(folder: Path) -> None:
    deliveries = len(table(folder, "deliveries"))
    with closing(sqlite3.connect(folder / "journal.db")) as connection, connection:
        connection.execute("DELETE FROM destinations")
    recovery = recovered(folder)
    assert (recovery.kept["deliveries"], recovery.kept["targets"]) == (0, 0)
    assert f"{deliveries} rows of deliveries with a reference to what is lost" in recovery.lost


@pytest.mark.parametrize("harm", ["UPDATE events SET payload = '{' WHERE", "DELETE FROM events WHERE"])
def test_no_event_id_is_given_out_again(folder: Path, harm: str) -> None:
    """The planner is past it: a new event under an old id would never be sent."""
    ((newest,),) = rows(folder, "SELECT max(id) FROM events")
    statement(folder, f"{harm} id > {newest - 5}")
    recovery = recovered(folder)
    with bench(recovery.folder) as at:
        assert at.event() == newest + 1


def test_work_goes_on_in_the_new_journal(folder: Path) -> None:
    overwrite(folder / "journal.db", 40 * PAGE, b"\xa5" * PAGE)
    recovery = recovered(folder)
    ((run_id,),) = rows(recovery.folder, "SELECT id FROM runs")
    with bench(recovery.folder, run_id=run_id) as at:
        claims = at.claim()
        assert claims
        at.plan(at.message())


def test_rows_in_the_log_come_over_too(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    with bench(folder) as at:
        at.event()
        at.outbox.fold_wal()
        for _ in range(3):
            at.event()
        statement_in_use = "UPDATE events SET payload = '{' WHERE id = 1"
        with closing(sqlite3.connect(folder / "journal.db")) as connection, connection:
            connection.execute(statement_in_use)
        recovery = recover_journal(folder, NOW)
    assert sorted(table(recovery.folder, "events")) == [2, 3, 4]


def test_nothing_readable_makes_no_new_journal(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    journal.open(folder).close()
    (folder / "journal.db").write_bytes(b"\xff" * 20 * PAGE)
    with pytest.raises(CorruptJournal, match="nothing could be read"):
        recover_journal(folder, NOW)
    assert [path.name for path in tmp_path.iterdir()] == ["journal"]


def test_an_earlier_recovery_is_not_overwritten(folder: Path) -> None:
    earlier = folder.with_name("journal-recovered-20260102T030405Z")
    earlier.mkdir()
    with pytest.raises(JournalUnwritable, match="is there already"):
        recover_journal(folder, NOW)
    assert list(earlier.iterdir()) == []


def test_a_full_disk_leaves_nothing_half_done(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "2m") as disk:
        with bench(disk / "journal") as at:
            at.checkpoint(b"weights" * 50_000, role="final")
        fill(disk)
        with pytest.raises(DiskFull):
            recover_journal(disk / "journal", NOW)
        assert sorted(path.name for path in disk.iterdir() if path.is_dir()) == ["journal"]
