"""An event is the same wherever it travels: (uuid of the session, number in it). Local ids are an index."""

from __future__ import annotations

import json
import shutil
import sqlite3
import uuid
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.journals import Bench, bench, finish, python, rows

import journal
from journal import migrations
from journal.checkpoints.blobs import file_stamp
from journal.clock import utc_now
from journal.doctor import DAMAGE, examine, recover_journal
from journal.ids import chunk_id, digest
from journal.sessions.identity import Newest, Session
from journal.storage.database import APPLICATION_ID
from journal.writing.fallback import FallbackFile

NOW = "2026-01-01T00:00:00.000000Z"
IDENTITIES = """SELECT s.uuid, e.seq, e.kind, e.key FROM events e JOIN sessions s ON s.id = e.session_id
                ORDER BY s.generation, e.seq"""
SESSIONS = "SELECT uuid, generation, parent, purpose FROM sessions ORDER BY generation, id"
EVENT = "INSERT INTO events (run_id, session_id, kind, key, payload, created_at) VALUES (?, ?, 'epoch_end', ?, '{}', ?)"
SESSION = "INSERT INTO sessions (run_id, pid, host, boot_id, started_at, heartbeat_at) VALUES (?, ?, 'h', 'b', ?, ?)"


def statements(folder: Path, *wanted: tuple[str, tuple[Any, ...]]) -> None:
    """Change a journal by hand."""
    with closing(sqlite3.connect(folder / "journal.db")) as connection, connection:
        for statement, arguments in wanted:
            connection.execute(statement, arguments)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A journal of the schema before: two runs, the first with two sessions and a delivery that waits."""
    folder = tmp_path / "old"
    folder.mkdir()
    body = '{"epoch":0}'
    where = {"run_id": "one", "platform": "ultralytics", "base_url": "http://here", "kind": "epoch_end"}
    known = chunk_id(**where, first_event=1, last_event=1, body_digest=digest(body))
    with closing(sqlite3.connect(folder / "journal.db", isolation_level=None)) as made:
        for step in migrations.steps()[:3]:
            made.executescript(step.sql)
            made.execute("INSERT INTO schema_migrations VALUES (?, ?, ?)", (step.version, step.name, NOW))
        made.execute(f"PRAGMA application_id={APPLICATION_ID}")
        made.execute("PRAGMA user_version=3")
        for run in ("one", "two"):
            made.execute("INSERT INTO runs VALUES (?, NULL, 'train', '/x', ?)", (run, NOW))
        for run in ("one", "two", "one"):
            made.execute(SESSION, (run, 1, NOW, NOW))
        for run, session, key in (("one", 1, "0"), ("two", 2, "0"), ("one", 3, "1"), ("one", 1, "late")):
            made.execute(EVENT, (run, session, key, NOW))
        made.execute("INSERT INTO destinations VALUES (1, 'ultralytics', 'http://here')")
        made.execute("INSERT INTO targets VALUES ('one', 1, 'registered', NULL, '{}', 1, 2, ?, NULL)", (NOW,))
        made.execute(
            "INSERT INTO deliveries (run_id, destination_id, chunk_id, kind, lane, stage, first_event, last_event,"
            " body, state, attempts, next_attempt_at, held, fence, created_at)"
            " VALUES ('one', 1, ?, 'epoch_end', 'message', 2, 1, 1, ?, 'pending', 0, ?, 0, 0, ?)",
            (known, body, NOW, NOW),
        )
    (folder / "blobs").mkdir()
    return folder


def test_copies_that_are_migrated_apart_stay_one(old: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(old, tmp_path / "copy"))
    for folder in (old, copy):
        journal.open(folder).close()
    for query in (IDENTITIES, SESSIONS, "SELECT * FROM deliveries"):
        assert rows(old, query) == rows(copy, query)
    assert [seq for _, seq, _, _ in rows(old, IDENTITIES)] == [1, 2, 4, 3]
    (first, *_), (_, *_), (_, generation, parent, _) = rows(old, SESSIONS)
    assert (generation, parent) == (2, first)


def test_what_waited_keeps_its_chunk_id(old: Path) -> None:
    before = rows(old, "SELECT chunk_id FROM deliveries")
    assert not DAMAGE & {one.code for one in examine(old, fallback_folders=[]).findings}  # not migrated yet
    journal.open(old).close()
    assert rows(old, "SELECT chunk_id, span FROM deliveries") == [(*before[0], None)]
    assert not DAMAGE & {one.code for one in examine(old, fallback_folders=[]).findings}


def test_a_repair_gives_old_rows_what_a_migration_gives_them(old: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(old, tmp_path / "copy"))
    recovery = recover_journal(copy, utc_now())
    journal.open(old).close()
    for query in (IDENTITIES, SESSIONS, "SELECT chunk_id FROM deliveries"):
        assert rows(recovery.folder, query) == rows(old, query)


def test_a_repaired_journal_has_its_name_still(folder: Path) -> None:
    with bench(folder) as at:
        at.plan(at.message())
    recovery = recover_journal(folder, utc_now())
    for query in (
        "SELECT value FROM facts WHERE name = 'journal'",
        IDENTITIES,
        SESSIONS,
        "SELECT chunk_id, span FROM deliveries",
    ):
        assert rows(recovery.folder, query) == rows(folder, query) != []
    statements(recovery.folder, (EVENT, (rows(folder, "SELECT id FROM runs")[0][0], 1, "by hand", NOW)))
    assert rows(recovery.folder, "SELECT count(*) FROM events WHERE seq IS NULL") == [(0,)]


def test_the_events_of_each_session_count_from_one(folder: Path) -> None:
    with bench(folder) as at:
        at.event()
        resumed = replace(at, session_id=at.writer.start_session(at.run.id))
        resumed.event()
        at.event()
        resumed.checkpoint(b"weights")
    (first, *_), (second, *_) = rows(folder, SESSIONS)
    assert [row[:2] for row in rows(folder, IDENTITIES)] == [(first, 1), (first, 2), (second, 1), (second, 2)]
    assert rows(folder, SESSIONS) == [(first, 1, None, None), (second, 2, first, None)]
    assert str(uuid.UUID(first)) == first


def test_rows_that_are_written_by_hand_get_an_identity(folder: Path) -> None:
    with bench(folder) as at:
        run = at.run.id
        at.event()
        statements(folder, (SESSION, (run, 7, NOW, NOW)), (EVENT, (run, 2, "x", NOW)), (EVENT, (run, 1, "y", NOW)))
        for _ in range(3):
            at.event()  # where their numbers are in the way, the next free ones
    (first, *_), (second, generation, parent, _) = rows(folder, SESSIONS)
    assert (generation, parent, uuid.UUID(second).version) == (2, first, 4)
    assert rows(folder, "SELECT count(*), count(DISTINCT session_id || ' ' || seq) FROM events") == [(6, 6)]


def test_no_number_comes_twice_though_the_newest_events_were_deleted(folder: Path) -> None:
    with bench(folder) as at:
        for key in ("a", "b"):
            at.event(key=key)
        statements(folder, ("DELETE FROM events", ()))
        at.event(key="c")
    assert rows(folder, "SELECT seq, key FROM events") == [(3, "c")]


def test_another_writer_of_a_session_goes_on_above_its_numbers(folder: Path) -> None:
    with bench(folder) as at:
        at.event()
        with closing(at.journal.writer()) as other:
            other.append(at.run.id, at.session_id, "epoch_end", {})
        at.event()
    assert [seq for _, seq, _, _ in rows(folder, IDENTITIES)] == [1, 2, 3]


def test_a_forked_child_is_another_session(folder: Path) -> None:
    code = """
import os, sys, journal
opened = journal.open(sys.argv[1])
writer = opened.writer()
run = writer.start_run(project=None, name="run", save_dir="/x").id
session = writer.start_session(run)
writer.append(run, session, "before", {})
if os.fork() == 0:
    writer.append(run, session, "child", {})
    writer.append(run, session, "child", {})
    os._exit(0)
os.wait()
writer.append(run, session, "after", {})
print(writer.session_count(run))
"""
    (trainings,) = finish([python(code, folder)])
    (parent, *_), child = rows(folder, SESSIONS)
    assert child[1:] == (1, parent, "fork")
    written = {(session, seq, kind) for session, seq, kind, _ in rows(folder, IDENTITIES)}
    assert written == {
        (parent, 1, "before"),
        (parent, 2, "after"),
        (child[0], 1, "child"),
        (child[0], 2, "child"),
    }
    assert int(trainings) == 1


def spool(fallbacks: Path, at: Bench, session: Session, *keys: str, **payload: Any) -> Path:
    """Write a session's next events into a fallback file of it."""
    file = FallbackFile([fallbacks], at.journal.path, at.run, session=session)
    for key in keys:
        file.append("epoch_end", payload, key)
    file.close()
    assert file.path is not None
    return file.path


def test_an_event_is_taken_in_once_from_whichever_file(folder: Path, tmp_path: Path) -> None:
    with bench(folder) as at:
        session = Session(at.run.id)
        at.writer.start_session(at.run.id, session=session)
        first = spool(tmp_path / "fallback", at, session, "0", "1")
        shutil.copy(first, first.with_name("copy.jsonl"))
        spool(tmp_path / "fallback", at, session, "2")
        assert at.journal.fallbacks.ingest([tmp_path / "fallback"]) == 3
        assert at.journal.fallbacks.ingest([tmp_path / "fallback"]) == 0
    assert [row[1:] for row in rows(folder, IDENTITIES) if row[0] == session.uuid] == [
        (number, "epoch_end", key) for number, key in ((1, "0"), (2, "1"), (3, "2"))
    ]


def test_two_events_with_one_number_are_both_kept(folder: Path, tmp_path: Path) -> None:
    """As a virtual machine writes them that was set back to a snapshot."""
    fallbacks = tmp_path / "fallback"
    with bench(folder) as at:
        for loss in (1.0, 2.0, 3.0):
            spool(fallbacks, at, Session(at.run.id, "11111111-1111-1111-1111-111111111111", 2), "0", loss=loss)
        files = {path: path.read_bytes() for path in fallbacks.iterdir()}
        assert at.journal.fallbacks.ingest([fallbacks]) == 3
        for number, content in enumerate(files.values()):
            (fallbacks / f"again-{number}.jsonl").write_bytes(content)
        assert at.journal.fallbacks.ingest([fallbacks]) == 0
        assert at.writer.session_count(at.run.id) == 2
    assert sorted(rows(folder, "SELECT seq, json_extract(payload, '$.loss') FROM events")) == [
        (1, 1.0),
        (1, 2.0),
        (1, 3.0),
    ]
    assert [purpose for _, _, _, purpose in rows(folder, SESSIONS)] == [None, None, "twin", "twin"]
    assert "numbers-twice" in {one.code for one in examine(folder, fallback_folders=[]).findings}


def test_two_machines_that_went_on_with_one_run_at_once_are_named(folder: Path, tmp_path: Path) -> None:
    """They meet in one journal: here the other one's events come by a fallback file."""
    with bench(folder) as at:
        at.event("training_started")
        here = at.writer.newest_session(at.run.id)
        resumed = Session(at.run.id)
        at.writer.start_session(at.run.id, session=resumed)
        assert [run.forks for run in at.journal.report()] == [0]
        other = Session(at.run.id)
        other.continue_after(here)
        spool(tmp_path / "fallback", at, other, "0")
        assert at.journal.fallbacks.ingest([tmp_path / "fallback"]) == 1
        assert [run.forks for run in at.journal.report()] == [1]
    [finding] = [one for one in examine(folder, fallback_folders=[]).findings if one.code == "run-forked"]
    assert finding.weight == "notice"
    assert at.run.id in finding.detail


def test_what_is_given_up_is_told_by_a_session_of_its_own(folder: Path) -> None:
    with bench(folder) as at:
        at.event("console_output", {"content": "x" * 10_000})
        at.writer.space(1).for_events()
        before = at.session_id
        at.event()
        assert at.writer.session_count(at.run.id) == 1
        assert [run.state for run in at.journal.report()] == ["running"]
    told = "SELECT s.purpose, e.kind, e.seq FROM events e JOIN sessions s ON s.id = e.session_id ORDER BY e.id"
    assert rows(folder, told) == [("upkeep", "given_up", 2), (None, "epoch_end", 2)]
    assert rows(folder, "SELECT sessions FROM run_overview") == [(before,)]


def test_copies_that_salvage_the_same_file_write_the_same_event(folder: Path, tmp_path: Path) -> None:
    with bench(folder, pid=1 << 22) as at:
        source = tmp_path / "last.pt"
        source.write_bytes(b"weights")
        found = file_stamp(source) or (0, 0, 0)
        file = {"role": "last", "path": str(source), "size": found[1], "mtimeNs": found[2]}
        at.event("model_saved", {"epoch": 3, "files": [file]}, "3")
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    for place in (folder, copy):
        with journal.open(place) as opened:
            assert (opened.salvage(), opened.salvage()) == (1, 0)
    assert rows(folder, IDENTITIES) == rows(copy, IDENTITIES)
    (dead, *_), (_, generation, parent, purpose) = rows(folder, SESSIONS)
    assert (generation, parent, purpose) == (1, dead, "salvage")
    assert rows(folder, "SELECT seq FROM events WHERE kind = 'checkpoint'") == [(1,)]


def test_chunk_ids_are_made_of_identities(folder: Path, tmp_path: Path) -> None:
    """The same events in a journal where they have other local ids, because it has another run before."""
    fallbacks = tmp_path / "fallback"
    planned = []
    for place, before in ((folder, 0), (tmp_path / "other" / "journal", 3)):
        with bench(place, run_id="22222222-2222-2222-2222-222222222222") as at:
            for _ in range(before):
                at.event()
            session = Session(at.run.id, "11111111-1111-1111-1111-111111111111", 2)
            spool(fallbacks, at, session, "0")
            assert at.journal.fallbacks.ingest([fallbacks]) == 1
            ((event,),) = rows(place, "SELECT max(id) FROM events")
            at.plan(at.planned(event, body='{"epoch":0}'))
            assert not examine(place, fallback_folders=[]).findings
        planned += rows(place, "SELECT first_event, chunk_id, span FROM deliveries")
        shutil.rmtree(fallbacks)
    assert [event for event, *_ in planned] == [1, 4]
    assert planned[0][1:] == planned[1][1:]


def test_a_session_takes_its_place_behind_what_is_known(folder: Path) -> None:
    with bench(folder) as at:
        ahead = Session(at.run.id)
        ahead.continue_after(Newest(7, "elsewhere"))  # as the run's folder tells where the journal was lost
        at.writer.start_session(at.run.id, session=ahead)
        behind = Session(at.run.id)
        at.writer.start_session(at.run.id, session=behind)
    assert [row[1:3] for row in rows(folder, SESSIONS)] == [(1, None), (8, "elsewhere"), (9, ahead.uuid)]


def test_a_fallback_file_tells_whose_events_it_holds(folder: Path, tmp_path: Path) -> None:
    with bench(folder) as at:
        session = Session(
            at.run.id, generation=3, parent="11111111-1111-1111-1111-111111111111", journal=at.journal.uuid
        )
        first, line = spool(tmp_path / "fallback", at, session, "0").read_text().splitlines()
    told = json.loads(first)
    assert {name: told[name] for name in ("session", "generation", "parent")} == {
        "session": session.uuid,
        "generation": 3,
        "parent": "11111111-1111-1111-1111-111111111111",
    }
    assert [(told["journal_uuid"],)] == rows(folder, "SELECT value FROM facts WHERE name = 'journal'")
    assert json.loads(line)["seq"] == 1
