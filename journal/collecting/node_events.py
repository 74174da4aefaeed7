"""What a node's journal has that is to be brought: read in short transactions, and never written."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from sqlalchemy import Row, func, select

from journal.mirror import journal_reader, segments
from journal.mirror.journal_reader import JournalReader
from journal.schema import tables
from journal.sessions.identity import ENTRY_FIELDS, Entry
from journal.writing.fallback_format import Header

_E = tables.events
_COLUMNS = tuple(_E.c[name] for name in ENTRY_FIELDS)
LAST = 1 << 62
"""Above the number of any event."""


def newest(reader: JournalReader) -> int:
    """Return the id of the event that came in last."""
    with reader.begin() as connection:
        return journal_reader.newest_event(connection)


def first_new(reader: JournalReader, seen: int, newest: int) -> dict[int, int]:
    """Return the lowest number among each session's events with ids above one and up to another, by session."""
    query = select(_E.c.session_id, func.min(_E.c.seq).label("lowest")).where(_E.c.id > seen, _E.c.id <= newest)
    query = query.group_by(_E.c.session_id)
    with reader.begin() as connection:
        return {row.session_id: row.lowest for row in connection.execute(query)}


def lasts(reader: JournalReader, session_ids: Collection[int]) -> dict[int, tuple[int, int]]:
    """Return the highest number, and the highest id, of each session's events, by session."""
    if not session_ids:
        return {}
    query = select(_E.c.session_id, func.max(_E.c.seq), func.max(_E.c.id)).where(_E.c.session_id.in_(session_ids))
    with reader.begin() as connection:
        return {one: (seq, id_) for one, seq, id_ in connection.execute(query.group_by(_E.c.session_id))}


def sessions(reader: JournalReader, runs: Collection[str] | None) -> Sequence[Row[Any]]:
    """Return the sessions of runs (these, or all), in the order in which the journal has them."""
    with reader.begin() as connection:
        return journal_reader.sessions(connection, journal_reader.runs(connection) if runs is None else runs)


def header(reader: JournalReader, session: Row[Any]) -> Header:
    """Return what the events of a session belong to."""
    with reader.begin() as connection:
        return journal_reader.header(connection, session)


def groups(
    reader: JournalReader, session_id: int, newest: int, after: int = 0, through: int = LAST
) -> Iterator[list[Entry]]:
    """Yield a session's events with numbers above one, in their order: as many at a time as one transaction takes.

    Args:
        reader: Of the journal.
        session_id: The session's row.
        newest: The id of the journal's last event that is wanted.
        after: The number before the first.
        through: The last number that is wanted.
    """
    while entries := _next(reader, session_id, newest, after, through):
        yield from _divided(entries)
        after = entries[-1][4]


def _next(reader: JournalReader, session_id: int, newest: int, after: int, through: int) -> list[Entry]:
    wanted = (_E.c.session_id == session_id, _E.c.seq > after, _E.c.seq <= through, _E.c.id <= newest)
    query = select(*_COLUMNS).where(*wanted)
    with reader.begin() as connection:
        rows = connection.execute(query.order_by(_E.c.seq).limit(segments.MOST_EVENTS))
        return [tuple(row) for row in rows]


def _divided(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Yield events in groups of a bounded size, each at least of one."""
    group: list[Entry] = []
    room = segments.MOST_BYTES
    for entry in entries:
        if group and len(entry[2]) > room:
            yield group
            group, room = [], segments.MOST_BYTES
        group.append(entry)
        room -= len(entry[2])
    yield group
