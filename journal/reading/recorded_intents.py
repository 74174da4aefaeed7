"""What a person wants done of a run on its platforms, and whether it was."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from journal.kinds import INTENTS, listed
from journal.reading.delivery_records import states_by_event, states_query

_INTENTS = text(
    f"""
    SELECT id, kind, key, payload, created_at FROM events
    WHERE run_id = :run AND kind IN ({listed(INTENTS)}) AND json_valid(payload) ORDER BY id
    """  # noqa: S608 - names of this package
)
_DELIVERIES = states_query(f"d.kind IN ({listed(INTENTS)})")


@dataclass(frozen=True)
class RecordedIntent:
    """What a person wants.

    Attributes:
        kind: One of `journal.kinds.INTENTS`.
        key: What it is about.
        payload: How it is to be.
        recorded_at: When it was wanted, ISO.
        deliveries: The state of its delivery by destination's address; empty where none was planned.
    """

    kind: str
    key: str
    payload: Mapping[str, Any]
    recorded_at: str
    deliveries: Mapping[str, str]


def recorded_intents(connection: Connection, run_id: str) -> list[RecordedIntent]:
    """Return what is wanted of a run, in the order in which it was.

    Args:
        connection: Any.
        run_id: The run.
    """
    states = states_by_event(connection, _DELIVERIES, run_id)
    found = connection.execute(_INTENTS, {"run": run_id})
    return [
        RecordedIntent(row.kind, row.key, json.loads(row.payload), row.created_at, states.get(row.id, {}))
        for row in found
    ]
