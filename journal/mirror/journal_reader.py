"""What a journal has that is to be mirrored: read by a connection of its own, and never written."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, select, text

from journal.folder import Journal
from journal.kinds import CHECKPOINT, FINAL
from journal.mirror.numbers import Numbers
from journal.outbox.targets import targets
from journal.records import Run
from journal.schema import tables
from journal.sessions.identity import Entry
from journal.sessions.order import newest_checkpoint
from journal.storage.fork_safety import register
from journal.writing.fallback_format import Header

_AT_ONCE = 5_000
_E = tables.events
_S = tables.sessions
_WANTED = text(
    f"""
    SELECT DISTINCT e.run_id, json_extract(e.payload, '$.sha256') AS sha256
    FROM events e
    WHERE e.run_id IN :runs AND e.kind = '{CHECKPOINT}' AND json_valid(e.payload)
      AND (e.key = '{FINAL}' OR e.id = {newest_checkpoint("e")})
    """  # noqa: S608 - names of this package
).bindparams(bindparam("runs", expanding=True))

_SAVED = text(
    f"""
    SELECT DISTINCT json_extract(e.payload, '$.sha256') FROM events e
    WHERE e.run_id IN :runs AND e.kind = '{CHECKPOINT}' AND json_valid(e.payload)
    """  # noqa: S608 - names of this package
).bindparams(bindparam("runs", expanding=True))


class JournalReader:
    """Reads a journal in short transactions, each on a connection of its own; no fork happens in the middle of one.

    Attributes:
        journal: The journal.
        lock: Held while a connection is open, and while this process forks.
    """

    def __init__(self, journal: Journal) -> None:
        """Read a journal, which stays the caller's."""
        self.journal = journal
        self.lock = threading.RLock()
        register(self)

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """Begin a transaction that writes nothing."""
        with self.lock, self.journal.begin(read_only=True) as connection:
            yield connection

    def close_for_fork(self) -> None:
        """Do nothing: there is no connection while nobody holds the lock."""


def newest_event(connection: Connection) -> int:
    """Return the id of the event that came in last."""
    return connection.execute(select(func.max(_E.c.id))).scalar() or 0


def runs(connection: Connection) -> list[str]:
    """Return the uuids of all runs."""
    return list(connection.execute(select(tables.runs.c.id)).scalars())


def sessions(connection: Connection, run_ids: Collection[str]) -> Sequence[Row[Any]]:
    """Return the sessions of these runs."""
    return connection.execute(select(_S).where(_S.c.run_id.in_(run_ids)).order_by(_S.c.id)).all()


def header(connection: Connection, session: Row[Any]) -> Header:
    """Return the header of a session's segments; it names no journal, because it is the same in all of them."""
    row = connection.execute(select(tables.runs).where(tables.runs.c.id == session.run_id)).one()
    places = [one.destination for one in targets(connection, [session.run_id])]
    return Header(
        journal="",
        run=Run(**row._asdict()),
        session_id=None,
        routes=[(place.platform, place.base_url) for place in places],
        pid=session.pid,
        host=session.host,
        boot_id=session.boot_id,
        started_at=session.started_at,
        session=session.uuid,
        generation=session.generation,
        parent=session.parent,
        purpose=session.purpose,
    )


def entries(connection: Connection, session_id: int, held: Numbers) -> Iterator[Entry]:
    """Yield a session's events whose numbers are not held yet, in the order of their numbers."""
    columns = (_E.c.kind, _E.c.key, _E.c.payload, _E.c.created_at, _E.c.seq)
    query = select(*columns).where(_E.c.session_id == session_id).order_by(_E.c.seq)
    for first, last in list(held.missing()):
        found = connection.execute(query.where(_E.c.seq.between(first, last)).limit(_AT_ONCE))
        yield from (tuple(row) for row in found)


def lacking(connection: Connection, session_id: int, held: Numbers) -> int:
    """Return how many events of a session have numbers that are not held."""
    query = select(func.count()).select_from(_E).where(_E.c.session_id == session_id)
    ranges = list(held.missing())
    return sum(connection.execute(query.where(_E.c.seq.between(*one))).scalar_one() for one in ranges)


def saved_blobs(connection: Connection, run_ids: Collection[str]) -> set[str]:
    """Return the sha256 of each checkpoint that runs have had."""
    return set(connection.execute(_SAVED, {"runs": list(run_ids)}).scalars())


def wanted_blobs(connection: Connection, run_ids: Collection[str]) -> set[tuple[str, str]]:
    """Return the checkpoints that runs need: the newest of each role, and those that trainings ended with.

    Each is the uuid of the run and the sha256.
    """
    return {(row.run_id, row.sha256) for row in connection.execute(_WANTED, {"runs": list(run_ids)})}
