"""What a person wants done of a run on its platforms, and whether it was."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from journal.kinds import INTENTS, listed

_INTENTS = text(
    f"""
    SELECT id, kind, key, payload, created_at FROM events
    WHERE run_id = :run AND kind IN ({listed(INTENTS)}) AND json_valid(payload) ORDER BY id
    """  # noqa: S608 - names of this package
)
_DELIVERIES = text(
    f"""
    SELECT d.first_event, t.base_url, d.state FROM deliveries d JOIN destinations t ON t.id = d.destination_id
    WHERE d.run_id = :run AND d.kind IN ({listed(INTENTS)}) ORDER BY d.id
    """  # noqa: S608 - names of this package
)


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
    states: dict[int, dict[str, str]] = {}
    for row in connection.execute(_DELIVERIES, {"run": run_id}):
        states.setdefault(row.first_event, {})[row.base_url] = row.state  # the newest, where it was sent again
    found = connection.execute(_INTENTS, {"run": run_id})
    return [
        RecordedIntent(row.kind, row.key, json.loads(row.payload), row.created_at, states.get(row.id, {}))
        for row in found
    ]
