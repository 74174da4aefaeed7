"""Recording what a person wants done on a platform once it can be reached.

An intent is an event of its run, so it is kept, mirrored, packed, delivered and proven like all others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, text

from journal.clock import now_text
from journal.encoding import encode
from journal.schema import tables
from journal.sessions import session_rows
from journal.sessions.identity import INTENT
from journal.storage.backend import Begin

_NEWEST = text(
    """
    SELECT e.payload, s.generation FROM events e JOIN sessions s ON s.id = e.session_id
    WHERE e.run_id = :run_id AND e.kind = :kind AND e.key = :key ORDER BY e.id DESC LIMIT 1
    """
)


@dataclass(frozen=True)
class Intent:
    """What is wanted.

    Attributes:
        kind: One of `journal.kinds.INTENTS`.
        key: What it is about, such as a field's name. The newest of a kind and key counts.
        payload: How it is to be.
    """

    kind: str
    key: str
    payload: Mapping[str, Any]


def record(begin: Begin, run_id: str, intents: Sequence[Intent]) -> list[Intent]:
    """Record intents durably, in one transaction, except those that say what was wanted last.

    After the run was trained further, the same is wanted anew.

    Args:
        begin: Begins a transaction of the journal.
        run_id: Uuid of the run.
        intents: In the order in which they are to be carried out.

    Returns:
        Those that are new.
    """
    with begin() as connection:
        generation = session_rows.newest(connection, run_id).generation or 1
        new = [one for one in intents if not _is_wanted(connection, run_id, one, generation)]
        session = session_rows.beside_training(connection, run_id, INTENT) if new else 0
        for one in new:
            values = {"run_id": run_id, "session_id": session, "kind": one.kind, "key": one.key}
            entry = {"payload": encode(one.payload), "created_at": now_text()}
            connection.execute(insert(tables.events).values(**values, **entry))
    return new


def _is_wanted(connection: Connection, run_id: str, intent: Intent, generation: int) -> bool:
    row = connection.execute(_NEWEST, {"run_id": run_id, "kind": intent.kind, "key": intent.key}).first()
    return row is not None and (row.payload, row.generation) == (encode(intent.payload), generation)
