"""What is wrong with the file and its rows: structure, references, texts, bodies of deliveries, and forked runs."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from journal.doctor.findings import Finding, notice, repair, some, trouble
from journal.errors import CorruptJournal, JournalError, JournalUnavailable, NewerJournal, from_os
from journal.ids import chunk_id, digest
from journal.migrations import NEWEST_VERSION
from journal.next_steps import next_command
from journal.quantities import count
from journal.sessions.identity import TWIN
from journal.storage import database_file, log_base
from journal.storage.database import APPLICATION_ID, check_header, check_log

DAMAGE = frozenset({"database-damaged", "database-overwritten", "reference-broken", "text-damaged", "delivery-damaged"})
"""The findings that a repair can do something about, by copying what is undamaged into a new journal."""

_TEXTS = {"events": "payload", "deliveries": "body", "targets": "ids"}
_FORKS = """
    SELECT r.name, s.run_id, s.generation, group_concat(s.host, ' and ') AS hosts
    FROM sessions s JOIN runs r ON r.id = s.run_id
    WHERE s.purpose IS NULL GROUP BY s.run_id, s.generation HAVING count(*) > 1 ORDER BY r.created_at, s.generation
"""


def damaged(error: Exception, database: Path) -> Finding:
    """Return the finding for a database that cannot be read through."""
    detail = f"the database cannot be read through: {error.__cause__ or error}"
    return trouble("database-damaged", detail, repair(database.parent))


def unreadable(error: Exception) -> Finding:
    """Return the finding for a database that this user may not read."""
    return trouble("journal-unreadable", str(error), "Make the folder readable for this user.")


def check_file(database: Path, *, awaited: bool) -> Iterator[Finding]:
    """Check that there is a database, and that it is a journal of ours.

    Args:
        database: The file.
        awaited: Whether events for it wait in fallback files, so that a drain would create it.
    """
    try:
        yield from _check_file(database, awaited)
    except OSError as error:
        yield unreadable(from_os(error, database, "read"))


def _check_file(database: Path, awaited: bool) -> Iterator[Finding]:
    if not database.exists():
        make = f"`{next_command('drain', database.parent)}` makes it, of what waits in fallback files."
        name = "Name the journal's folder with --journal or UPLOADER_JOURNAL."
        yield trouble("no-journal", f"there is no {database}", make if awaited else name)
        return
    try:
        check_log(database)
    except CorruptJournal as error:
        yield trouble("log-without-database", str(error), "Nothing is changed as long as the journal is not opened.")
        return
    if log_base.is_overwritten(database):
        detail = f"{database} was overwritten by an older copy, on which its log does not build"
        advice = f"Put the newer file back if you have it, with its log. Else: {repair(database.parent)}"
        yield trouble("database-overwritten", detail, advice)
        return
    yield from _check_header(database)


def _check_header(database: Path) -> Iterator[Finding]:
    try:
        check_header(database, NEWEST_VERSION)
    except NewerJournal as error:
        yield trouble("newer-journal", str(error), "Upgrade offline-uploader.")
    except CorruptJournal as error:
        yield damaged(error, database)
    except JournalUnavailable as error:
        yield unreadable(error)
    except JournalError as error:
        yield trouble("not-a-journal", str(error), "Choose another folder.")


def is_ours(database: Path) -> bool:
    """Return whether the file's header says that it is a journal, possibly a damaged one."""
    try:
        header = database_file.first_bytes(database, 100)
    except OSError:
        return False
    if header is None:  # this process has it open, as a journal
        return True
    return header[68:72] == APPLICATION_ID.to_bytes(4, "big")  # https://sqlite.org/fileformat2.html#database_header


def check_rows(connection: sqlite3.Connection, folder: Path) -> Iterator[Finding]:
    """Check what the database of a journal's folder holds.

    Raises:
        sqlite3.Error: It is too damaged for that.
    """
    step = repair(folder)
    found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check")]
    if found != ["ok"]:
        yield trouble("database-damaged", f"SQLite's integrity check says: {some(found)}", step)
    broken = [
        f"{table} {rowid} → {parent}" for table, rowid, parent, _ in connection.execute("PRAGMA foreign_key_check")
    ]
    if broken:
        yield trouble("reference-broken", f"rows refer to rows that are missing: {some(broken)}", step)
    for table, column in _TEXTS.items():
        rows = [str(row[0]) for row in connection.execute(f"SELECT rowid FROM {table} WHERE NOT json_valid({column})")]
        if rows:
            yield trouble("text-damaged", f"{table}.{column} holds no JSON in rows {some(rows)}", step)
    yield from _check_deliveries(connection, step)


def tells_identities(connection: sqlite3.Connection) -> bool:
    """Return whether the journal's schema has generations of sessions and numbers of events."""
    return any(row[1] == "generation" for row in connection.execute("PRAGMA table_info(sessions)"))


def damaged_deliveries(connection: sqlite3.Connection) -> list[int]:
    """Return the open deliveries whose body does not match their chunk id."""
    cursor = connection.execute(
        """SELECT d.id, d.chunk_id, d.body, d.run_id, t.platform, t.base_url, d.kind, d.first_event, d.last_event,
                  {span}
           FROM deliveries d JOIN destinations t ON t.id = d.destination_id
           WHERE d.state IN ('pending', 'claimed') ORDER BY d.id""".format(
            span="d.span" if tells_identities(connection) else "NULL AS span"
        )
    )
    names = [column[0] for column in cursor.description]
    return [
        row[0] for row in cursor if row[1].partition(".")[0] != _chunk_id(dict(zip(names[2:], row[2:], strict=True)))
    ]


def _check_deliveries(connection: sqlite3.Connection, step: str) -> Iterator[Finding]:
    rows = [str(row) for row in damaged_deliveries(connection)]
    if rows:
        yield trouble("delivery-damaged", f"deliveries {some(rows)} have other bodies than were planned", step)


def _chunk_id(parts: dict[str, Any]) -> str:
    return chunk_id(body_digest=digest(parts.pop("body")), **parts)


def check_forks(connection: sqlite3.Connection) -> Iterator[Finding]:
    """Find runs that two machines, or two copies of a folder, continued at once.

    Args:
        connection: The journal's database.
    """
    if not tells_identities(connection):
        return
    forks = [f"{name} ({run_id}) on {hosts}" for name, run_id, _, hosts in connection.execute(_FORKS)]
    if forks:
        detail = f"two sessions went on with one run at once: {some(forks)}"
        advice = "All of their events are kept; where both tell of the same epoch, the one that is further is shown."
        yield notice("run-forked", detail, advice)
    twins = connection.execute("SELECT count(*) FROM sessions WHERE purpose = ?", (TWIN,)).fetchone()[0]
    if twins:
        detail = f"events with numbers that other events have, too, are kept in {count(twins, 'session')} beside"
        yield notice("numbers-twice", detail, "A machine was set back to a snapshot while it trained: look into both.")
