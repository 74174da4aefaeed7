"""Ingests fallback files in batches: one transaction holds a batch's events and the number of lines ingested so far.

Ingesting is idempotent: a file can be ingested again, after a kill at any point or while its process still writes to
it, and nothing is lost or doubled. The same holds for an event that is in two files, or in a file and the journal.
Nobody waits for the write lock longer than one batch takes. A line that a full disk cut short counts as a line and is
skipped: its event was never acknowledged.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, bindparam, insert, select

from journal.clock import from_text, now_text
from journal.encoding import encode, storable
from journal.outbox.targets import route
from journal.schema import tables
from journal.schema.neutral import upsert
from journal.sessions import session_rows
from journal.sessions.identity import Session
from journal.sessions.liveness import is_dead
from journal.storage.backend import Begin
from journal.writing import fallback_owners
from journal.writing.fallback_format import PARSE_ERRORS, Header, unreadable_reason, whole_lines

Row = dict[str, Any]
"""Columns of an event by their names."""

_LOG = logging.getLogger(__name__)

# The limits of one transaction: the write lock is held for about a tenth of a second.
_LINES_AT_ONCE = 10_000
_BYTES_AT_ONCE = 8 << 20

# Has others wait who bring events of the same run into a shared journal.
_THE_RUN = select(tables.runs.c.id).where(tables.runs.c.id == bindparam("run_id")).with_for_update(key_share=True)


def ingest(begin: Begin, journal: Path, folders: Iterable[Path]) -> int:
    """Ingest every fallback file that was meant for this journal; return how many events were new.

    Files of a process that has ended are deleted.

    Args:
        begin: Begins a transaction of the journal.
        journal: The journal's folder.
        folders: Where fallback files may be.
    """
    taken = 0
    for header, path in _files_for(begin, journal, folders):
        # Decided before its lines are read: a process that dies later may have written more, which must not be deleted.
        is_over = is_dead(header.host, header.boot_id, header.pid)
        try:
            for count in ingest_file(begin, path, header):
                taken += count
        except OSError as error:
            _LOG.warning("The fallback file %s could not be read to its end: %s", path, error)
            continue
        if is_over:
            with suppress(OSError):  # a file that stays is not ingested again
                path.unlink()
    return taken


def copy(begin: Begin, journal: Path, folders: Iterable[Path]) -> tuple[list[str], int]:
    """Ingest the fallback files of another journal, which may have no folder; return their runs and how much was new.

    The files stay: that journal may only be away.

    Args:
        begin: Begins a transaction of the journal that takes them.
        journal: The other one's folder.
        folders: Where fallback files may be.

    Raises:
        OSError: A file could not be read to its end.
    """
    own = fallback_owners.files_by_owner(fallback_owners.owner_at(journal), folders).own
    found = sorted(own, key=lambda one: one[0].started_at)
    new = sum(count for header, path in found for count in ingest_file(begin, path, header))
    return sorted({header.run.id for header, _ in found}), new


def ingest_file(begin: Begin, path: Path, header: Header) -> Iterator[int]:
    """Ingest the lines of a fallback file that were not ingested before; yield the number of events of each batch.

    Raises:
        OSError: The file could not be read to its end.
    """
    with begin(read_only=True) as connection:
        taken, session_id = _progress(connection, path.name)
    is_new = session_id is None
    with path.open("rb") as file:
        lines = islice(whole_lines(file), 1 + taken, None)
        while (batch := _batch(lines)) or is_new:  # a file without events still announces its run
            events = [_event(line) for line in batch]
            with begin() as connection:
                count = _write(connection, path.name, header, events, taken)
            taken += len(batch)
            is_new = False
            yield count


def ingest_whole(begin: Begin, name: str, header: Header, events: Sequence[Row]) -> int:
    """Ingest all events of a segment in one transaction; return how many of them were new.

    That it was ingested is noted only where the session's later events were there before: such events are compared
    with those when they are planned, which takes long for a large session.

    Args:
        begin: Begins a transaction of the journal.
        name: The segment's.
        header: What the events belong to.
        events: Their columns.
    """
    with begin() as connection:
        return add_whole(connection, name, header, events)


def add_whole(connection: Connection, name: str, header: Header, events: Sequence[Row]) -> int:
    """Do what `ingest_whole` does in a transaction of the caller's, which others may be beside.

    Whoever adds to the same run waits until it ends, so that what is compared here is all that there is.
    """
    session_id = _session(connection, header)
    highest = session_rows.highest(connection, session_id)
    rows = _new_rows(connection, header, session_id, events)
    if rows:
        connection.execute(insert(tables.events), rows)
    if any(row["session_id"] == session_id and row["seq"] < highest for row in rows):
        _note_progress(connection, name, session_id, len(events))
    return len(rows)


def _files_for(begin: Begin, journal: Path, folders: Iterable[Path]) -> list[tuple[Header, Path]]:
    """Return the journal's fallback files in order of creation, so that a run's sessions follow each other."""
    with begin(read_only=True) as connection:
        owner = fallback_owners.owner(connection, journal)
    found = fallback_owners.files_by_owner(owner, folders)
    for path in found.unreadable:
        if why := unreadable_reason(path):
            _warn_unreadable(path, why)
    return sorted(found.own, key=lambda one: one[0].started_at)


@lru_cache(maxsize=1024)
def _warn_unreadable(path: Path, why: str) -> None:
    """Warn once per file: a watching drain looks every minute."""
    _LOG.warning("The fallback file %s cannot be read (%s); events of this journal may wait in it", path, why)


def _batch(lines: Iterator[bytes]) -> list[bytes]:
    """Return the next lines, as many as fit into one transaction."""
    batch: list[bytes] = []
    room = _BYTES_AT_ONCE
    for line in lines:
        batch.append(line)
        room -= len(line)
        if room <= 0 or len(batch) == _LINES_AT_ONCE:
            break
    return batch


def _event(line: bytes) -> Row | None:
    """Return an event's columns; None for a line that is torn or was not written by this software."""
    try:
        event = json.loads(line)
        from_text(event["created_at"])
        columns = {name: storable(str(event[name])) for name in ("kind", "key", "created_at")}
        return {**columns, "payload": encode(dict(event["payload"])), "seq": _number(event.get("seq"))}
    except PARSE_ERRORS:
        return None


def _number(seq: object) -> int | None:
    """Return an event's sequence number; None where an earlier version gave it none.

    Raises:
        ValueError: It is not a valid sequence number.
    """
    if seq is None or (isinstance(seq, int) and 0 < seq < 1 << 53):
        return seq
    raise ValueError(seq)


def _progress(connection: Connection, name: str) -> tuple[int, int | None]:
    """Return how many lines of a file were ingested, and into which session; 0 and None for a new file."""
    table = tables.fallback_imports
    row = connection.execute(select(table).where(table.c.name == name)).first()
    return (row.lines, row.session_id) if row else (0, None)


def _write(connection: Connection, name: str, header: Header, events: Sequence[Row | None], before: int) -> int:
    """Write a batch that begins `before` lines into the file, leaving out what the journal has already."""
    taken, known = _progress(connection, name)
    session_id = known or _session(connection, header)
    new = [event for event in events[max(0, taken - before) :] if event]
    rows = _new_rows(connection, header, session_id, new)
    if rows:
        connection.execute(insert(tables.events), rows)
    _note_progress(connection, name, session_id, max(taken, before + len(events)))
    return len(rows)


def _note_progress(connection: Connection, name: str, session_id: int, lines: int) -> None:
    progress = {"lines": lines, "updated_at": now_text()}
    row = upsert(tables.fallback_imports).values(name=name, session_id=session_id, **progress)
    connection.execute(row.on_conflict_do_update(index_elements=["name"], set_=progress))


def _new_rows(connection: Connection, header: Header, session_id: int, events: Sequence[Row]) -> list[Row]:
    """Return rows for the events that the journal does not have, each with its session.

    Where another event has the same sequence number, as after a machine was restored from a snapshot, both are kept:
    the later one goes into a twin session.
    """
    there = session_rows.contents(connection, session_id, [event["seq"] for event in events if event["seq"]])
    rows, twins = [], []
    for event in events:
        content = (event["kind"], event["key"], event["payload"])
        known = there.get(event["seq"])
        if known is None:
            if event["seq"]:
                there[event["seq"]] = content
            rows.append({**event, "run_id": header.run.id, "session_id": session_id})
        elif known != content:
            twins.append(event)
    if not twins:
        return rows
    return [*rows, *_new_rows(connection, header, session_rows.twin(connection, session_id), twins)]


def _session(connection: Connection, header: Header) -> int:
    """Return the session that the events belong to, created with its run and routes if the journal has none."""
    connection.execute(upsert(tables.runs).values(vars(header.run)).on_conflict_do_nothing())
    connection.execute(_THE_RUN, {"run_id": header.run.id})
    for platform_name, base_url in header.routes:
        route(connection, header.run.id, platform_name, base_url)
    if header.session is None and (known := _of_earlier_version(connection, header)):
        return known
    session = Session(header.run.id, header.session or str(uuid4()), header.generation, header.parent, header.purpose)
    if session.generation is None:  # earlier sessions could not be looked up when it began, so its clock decides
        session.continue_after(session_rows.newest(connection, header.run.id, before=header.started_at))
    session.is_stored = True
    process = {"host": header.host, "boot_id": header.boot_id}
    moments = {"started_at": header.started_at, "heartbeat_at": header.started_at}
    return session_rows.begin(connection, session, header.pid, **process, **moments)


def _of_earlier_version(connection: Connection, header: Header) -> int | None:
    table = tables.sessions
    query = select(table.c.id).where(table.c.id == header.session_id, table.c.run_id == header.run.id)
    return connection.execute(query).scalar()
