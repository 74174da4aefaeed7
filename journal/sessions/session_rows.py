"""Rows of `sessions`: who wrote to a run, and in which order."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, text

from journal.clock import now_text
from journal.kinds import CONSOLE
from journal.schema import tables
from journal.schema.neutral import inserted_id
from journal.sessions.identity import TWIN, UNKNOWN, Newest, Session, derived
from journal.sessions.liveness import boot_id, host_name

_S = tables.sessions
_E = tables.events
_LAST_CHUNK = text(
    """
    SELECT max(CAST(round((SELECT e.key FROM events e WHERE e.session_id = s.id AND e.kind = :kind
                           ORDER BY e.seq DESC LIMIT 1)) AS BIGINT))
    FROM sessions s WHERE s.run_id = :run_id
    """
).bindparams(kind=CONSOLE)


def newest(connection: Connection, run_id: str, before: str | None = None) -> Newest:
    """Return the run's newest training session, of all or of those that began before an ISO time."""
    query = select(_S.c.generation, _S.c.uuid).where(_S.c.run_id == run_id, _S.c.purpose.is_(None))
    if before is not None:
        query = query.where(_S.c.started_at < before)
    row = connection.execute(query.order_by(_S.c.generation.desc(), _S.c.id.desc()).limit(1)).first()
    return Newest(*row) if row else UNKNOWN


def find(connection: Connection, uuid: str) -> int | None:
    """Return the id of the session with this uuid, None when the journal has none."""
    return connection.execute(select(_S.c.id).where(_S.c.uuid == uuid)).scalar()


def load(connection: Connection, session_id: int) -> Session | None:
    """Return a session that another writer began; its next number is above all that are in the journal."""
    columns = (_S.c.run_id, _S.c.uuid, _S.c.generation, _S.c.parent, _S.c.purpose)
    row = connection.execute(select(*columns).where(_S.c.id == session_id)).first()
    return Session(*row, last=highest(connection, session_id), is_stored=True) if row else None


def highest(connection: Connection, session_id: int) -> int:
    """Return the highest number of a session's events, 0 when it has none."""
    query = select(func.max(_E.c.seq)).where(_E.c.session_id == session_id)
    return connection.execute(query).scalar() or 0


def begin(connection: Connection, session: Session, pid: int | None = None, **columns: str | None) -> int:
    """Insert a session, unless it is in the journal already, and return its id.

    Args:
        connection: In a write transaction.
        session: It takes the generation after the run's newest, unless its own is final.
        pid: The process; by default this one.
        columns: Values that differ from those of this process at this moment.
    """
    if (known := find(connection, session.uuid)) is not None:
        return known
    session.continue_after(newest(connection, session.run_id))
    session.is_stored = True
    now = now_text()
    process = {"pid": pid or os.getpid(), "host": host_name(), "boot_id": boot_id()}
    moments = {"started_at": now, "heartbeat_at": now}
    lineage = {"uuid": session.uuid, "generation": session.generation, "parent": session.parent}
    who = {"run_id": session.run_id, "purpose": session.purpose, **lineage}
    return inserted_id(connection, insert(_S).values({**process, **moments, **who, **columns}), _S)


def last_chunk(connection: Connection, run_id: str) -> int:
    """Return the highest id among the last console chunks of the run's sessions, 0 if there are none."""
    return int(connection.execute(_LAST_CHUNK, {"run_id": run_id}).scalar() or 0)


def copy(connection: Connection, row: Row[Any]) -> int:
    """Write a session of another journal as it is, unless it is here, and return its id here."""
    columns = {name: value for name, value in row._asdict().items() if name not in {"id", "flushed_seq"}}
    return find(connection, row.uuid) or inserted_id(connection, insert(_S).values(columns), _S)


def beside_training(connection: Connection, run_id: str, purpose: str) -> int:
    """Return the session in which this process records about the run what no training did; begin it if it is new.

    Its events are numbered by the journal (`tables.TRIGGERS`), because many processes may hold it.

    Args:
        connection: In a write transaction.
        run_id: Uuid of the run.
        purpose: Why this process writes.
    """
    process = {"pid": os.getpid(), "host": host_name(), "boot_id": boot_id()}
    mine = [_S.c[name] == value for name, value in process.items()]
    query = select(_S.c.id).where(_S.c.run_id == run_id, _S.c.purpose == purpose, *mine)
    if (known := connection.execute(query.limit(1)).scalar()) is not None:
        return int(known)
    last = newest(connection, run_id)
    session = Session(run_id, generation=last.generation or 1, parent=last.uuid, purpose=purpose, is_stored=True)
    return begin(connection, session, ended_at=now_text(), outcome=purpose)


def contents(connection: Connection, session_id: int, numbers: Sequence[int]) -> dict[int, tuple[str, str, str]]:
    """Return kind, key and payload of a session's events, by their numbers, from the lowest of these to the highest."""
    if not numbers:
        return {}
    query = select(_E.c.seq, _E.c.kind, _E.c.key, _E.c.payload)
    within = _E.c.seq.between(min(numbers), max(numbers))
    found = connection.execute(query.where(_E.c.session_id == session_id, within))
    return {seq: (kind, key, payload) for seq, kind, key, payload in found}


def twin(connection: Connection, session_id: int) -> int:
    """Return the twin of a session, for events whose numbers it has given to others; begin it if it is new."""
    row = connection.execute(select(_S).where(_S.c.id == session_id)).one()
    session = Session(row.run_id, derived(TWIN, row.uuid), row.generation, row.uuid, TWIN, is_stored=True)
    copied = ("host", "boot_id", "started_at", "heartbeat_at")
    return begin(connection, session, row.pid, **{name: getattr(row, name) for name in copied}, ended_at=now_text())
