"""The schema: made by recorded steps, refused when it is newer, and never made in somebody else's file."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import stat
from contextlib import closing
from importlib import resources
from pathlib import Path

import pytest
from sqlalchemy.dialects import sqlite
from support.journals import backlog, bench, finish, python, rows

import journal
from journal import migrations
from journal.errors import CorruptJournal, JournalError, JournalUnwritable, NewerJournal
from journal.schema import tables
from journal.storage.database import APPLICATION_ID


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_code_names_the_columns_that_migrations_lead_to(folder: Path) -> None:
    journal.open(folder).close()
    there = {name for (name,) in rows(folder, "SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert {table.name for table in tables.TABLES} == there - {"sqlite_sequence"}
    for table in tables.TABLES:
        named = [(column.name, column.type.compile(sqlite.dialect())) for column in table.columns]
        assert named == rows(folder, f"SELECT name, type FROM pragma_table_info('{table.name}')"), table.name


def test_views_and_triggers_are_those_that_the_code_describes(folder: Path) -> None:
    journal.open(folder).close()
    made = dict(rows(folder, "SELECT name, sql FROM sqlite_master WHERE type IN ('view', 'trigger')"))
    views = {name: f"CREATE VIEW {name} AS {select}" for name, select in tables.VIEWS.items()}
    triggers = {name: f"CREATE TRIGGER {name} {rule}" for name, rule in tables.TRIGGERS.items()}
    assert {name: " ".join(sql.split()) for name, sql in made.items()} == {
        name: " ".join(sql.split()) for name, sql in {**views, **triggers}.items()
    }


def test_steps_are_numbered_and_recorded(folder: Path) -> None:
    journal.open(folder).close()
    files = [file.name for file in resources.files("journal").joinpath("schema").iterdir() if file.name[0].isdigit()]
    assert migrations.NEWEST_VERSION == len(files) == len(migrations.steps())
    recorded = rows(folder, "SELECT version, name FROM schema_migrations ORDER BY version")
    assert recorded == [(step.version, step.name) for step in migrations.steps()]
    assert rows(folder, "PRAGMA user_version") == [(migrations.NEWEST_VERSION,)]
    assert rows(folder, "PRAGMA application_id") == [(APPLICATION_ID,)]


def test_an_older_version_goes_on_writing_while_its_journal_is_brought_up_to_date(folder: Path) -> None:
    folder.mkdir()
    first, now = migrations.steps()[0], "2026-01-01T00:00:00.000000Z"
    columns = "run_id, session_id, kind, key, payload, created_at"
    event = f"INSERT INTO events ({columns}) VALUES ('r', 1, 'epoch_end', ?, '{{}}', ?)"
    with closing(sqlite3.connect(folder / "journal.db", isolation_level=None)) as old:
        old.executescript(f"PRAGMA journal_mode=wal; {first.sql}")
        old.execute("INSERT INTO schema_migrations VALUES (1, 'first', ?)", (now,))
        old.execute(f"PRAGMA application_id={APPLICATION_ID}")
        old.execute("PRAGMA user_version=1")
        old.execute("INSERT INTO runs VALUES ('r', NULL, 'train', '/x', ?)", (now,))
        old.execute("INSERT INTO destinations VALUES (1, 'ultralytics', 'http://here')")
        old.execute("INSERT INTO targets VALUES ('r', 1, 'new', NULL, '{}', 0, 0, ?)", (now,))
        old.execute("INSERT INTO sessions VALUES (1, 'r', 1, 'host', '', ?, ?, NULL, NULL)", (now, now))
        old.execute(event, ("0", now))
        with journal.open(folder) as opened, closing(opened.outbox()) as outbox:
            old.execute(event, ("1", now))
            old.execute("UPDATE sessions SET heartbeat_at = ?", (now,))
            [target] = outbox.routes.targets()
            assert (target.state, target.planned_through) == ("new", 0)
            assert [one.key for one in backlog(outbox, "r").events] == ["0", "1"]
            assert opened.drop_destination(1).runs == 1
            assert outbox.routes.targets() == []


@pytest.mark.parametrize("version", range(1, migrations.NEWEST_VERSION))
def test_a_journal_of_each_earlier_version_is_brought_to_the_views_of_this_one(folder: Path, version: int) -> None:
    folder.mkdir()
    now = "2026-01-01T00:00:00.000000Z"
    with closing(sqlite3.connect(folder / "journal.db", isolation_level=None)) as old:
        for step in migrations.steps()[:version]:
            old.executescript(step.sql)
            old.execute("INSERT INTO schema_migrations VALUES (?, ?, ?)", (step.version, step.name, now))
        old.execute("CREATE VIEW run_overview AS SELECT id AS run, 0 AS epochs FROM runs")
        old.execute(f"PRAGMA application_id={APPLICATION_ID}")
        old.execute(f"PRAGMA user_version={version}")
        old.execute("INSERT INTO runs VALUES ('r', NULL, 'train', '/x', ?)", (now,))
        columns = "id, run_id, pid, host, boot_id, started_at, heartbeat_at"
        old.execute(f"INSERT INTO sessions ({columns}) VALUES (1, 'r', 1, 'host', '', ?, ?)", (now, now))
        for number in range(2):
            payload = json.dumps({"metrics": {"metrics/acc": 0.5, "train/loss": 2.0 - number}})
            columns = "run_id, session_id, kind, key, payload, created_at"
            event = f"INSERT INTO events ({columns}) VALUES ('r', 1, 'epoch_end', ?, ?, ?)"
            old.execute(event, (str(number), payload, now))
    journal.open(folder).close()
    assert rows(folder, "SELECT run, epochs FROM run_overview") == [("r", 2)]
    assert rows(folder, "PRAGMA user_version") == [(migrations.NEWEST_VERSION,)]


def test_opening_again_changes_nothing(folder: Path) -> None:
    journal.open(folder).close()
    before = sha256(folder / "journal.db")
    journal.open(folder).close()
    assert sha256(folder / "journal.db") == before


def test_an_empty_file_is_a_journal_to_be(folder: Path) -> None:
    folder.mkdir()
    (folder / "journal.db").touch()
    journal.open(folder).close()
    assert rows(folder, "SELECT count(*) FROM runs") == [(0,)]


def test_a_journal_whose_making_was_cut_short_is_made(folder: Path) -> None:
    folder.mkdir()
    with closing(sqlite3.connect(folder / "journal.db")) as half:
        half.execute("PRAGMA journal_mode=WAL")
    assert (folder / "journal.db").stat().st_size > 0
    journal.open(folder).close()
    assert rows(folder, "SELECT count(*) FROM runs") == [(0,)]


def test_a_newer_journal_is_refused_and_left_as_it_is(folder: Path) -> None:
    journal.open(folder).close()
    with closing(sqlite3.connect(folder / "journal.db")) as newer:
        newer.execute(f"PRAGMA user_version={migrations.NEWEST_VERSION + 1}")
    before = sha256(folder / "journal.db")
    with pytest.raises(NewerJournal, match="upgrade offline-uploader"):
        journal.open(folder)
    assert sha256(folder / "journal.db") == before
    assert sorted(path.name for path in folder.iterdir()) == ["blobs", "journal.db"]


def test_a_newer_version_that_is_only_in_the_log_is_refused(folder: Path) -> None:
    journal.open(folder).close()
    with closing(sqlite3.connect(folder / "journal.db")) as newer:
        newer.execute("PRAGMA wal_autocheckpoint=0")
        newer.execute(f"PRAGMA user_version={migrations.NEWEST_VERSION + 1}")
        before = sha256(folder / "journal.db")
        with pytest.raises(NewerJournal):
            journal.open(folder)
        assert sha256(folder / "journal.db") == before


@pytest.mark.parametrize("version", [0, migrations.NEWEST_VERSION])
@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
@pytest.mark.parametrize("application", [0, 77])
def test_another_applications_database_is_refused_and_left_as_it_is(
    folder: Path, version: int, mode: str, application: int
) -> None:
    folder.mkdir()
    database = folder / "journal.db"
    with closing(sqlite3.connect(database)) as other:
        other.execute(f"PRAGMA journal_mode={mode}")
        other.execute("CREATE TABLE notes (line TEXT)")
        other.execute(f"PRAGMA user_version={version}")
        other.execute(f"PRAGMA application_id={application}")
    before = sha256(database)
    with pytest.raises(JournalError, match="another application"):
        journal.open(folder)
    assert sha256(database) == before


def test_another_applications_database_that_is_only_in_the_log_is_refused(folder: Path) -> None:
    folder.mkdir()
    with closing(sqlite3.connect(folder / "journal.db")) as other:
        other.execute("PRAGMA journal_mode=WAL")
        other.execute("PRAGMA wal_autocheckpoint=0")
        other.execute("CREATE TABLE notes (line TEXT)")
        other.execute(f"PRAGMA user_version={migrations.NEWEST_VERSION}")
        with pytest.raises(JournalError, match="another application"):
            journal.open(folder)


@pytest.mark.parametrize("content", [b"not a database at all\n" * 500, b"short"])
def test_what_is_no_database_is_refused_and_left_as_it_is(folder: Path, content: bytes) -> None:
    folder.mkdir()
    (folder / "journal.db").write_bytes(content)
    with pytest.raises(CorruptJournal, match=r"doctor --repair --journal .*\.recover"):
        journal.open(folder)
    assert (folder / "journal.db").read_bytes() == content


@pytest.mark.parametrize("whole_from", [4096, 65536])
def test_damaged_pages_are_said_and_left_as_they_are(folder: Path, whole_from: int) -> None:
    with bench(folder) as at:
        for number in range(300):
            at.event("console_output", {"content": f"line {number} " * 40})
        at.outbox.fold_wal()
    database = folder / "journal.db"
    with database.open("r+b") as file:
        file.seek(whole_from)
        file.write(b"\xa5" * (database.stat().st_size - whole_from))
    before = sha256(database)
    said = r"doctor --repair --journal .*\.recover"
    with pytest.raises(CorruptJournal, match=said) as caught, journal.open(folder) as opened:
        opened.report()
    assert str(database) in str(caught.value)
    assert sha256(database) == before


def test_folders_and_files_are_for_this_user_alone(folder: Path) -> None:
    with bench(folder) as at:
        at.checkpoint(b"weights")
        modes = {
            path.relative_to(folder).as_posix(): stat.S_IMODE(path.stat().st_mode)
            for path in [folder, *folder.rglob("*")]
        }
    assert {name: mode for name, mode in modes.items() if mode not in {0o600, 0o700}} == {}
    assert modes["."] == modes["blobs"] == 0o700
    assert modes["journal.db"] == modes["journal.db-wal"] == modes["journal.db-shm"] == 0o600


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(JournalUnwritable, match="cannot be made; choose another one"):
        journal.open(tmp_path / "file" / "journal")


def test_processes_that_make_the_same_journal_at_once_all_succeed(folder: Path) -> None:
    code = """
import sys, journal
sys.stdin.read(1)
with journal.open(sys.argv[1]) as opened:
    writer = opened.writer()
    print(writer.start_run(project=None, name="run", save_dir="/x").id)
    writer.close()
"""
    processes = [python(code, folder, stdin=-1) for _ in range(4)]
    for process in processes:
        process.stdin.write("g")
        process.stdin.flush()
    made = {line.strip() for line in finish(processes)}
    assert {run for (run,) in rows(folder, "SELECT id FROM runs")} == made
    assert rows(folder, "SELECT count(*) FROM schema_migrations") == [(migrations.NEWEST_VERSION,)]
