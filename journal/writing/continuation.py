"""What a loop has to know of its run when it goes on: the next step, what was summed up, and the best weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, text

from journal.kinds import BEST, CHECKPOINT, EPOCH, MODEL_SAVED, SUMMARY
from journal.schema.tables import RANK

_FOLLOWING = text(
    f"""
    SELECT max(CAST(key AS INTEGER)) + 1 FROM events WHERE run_id = :run AND kind = '{EPOCH}' AND key GLOB '[0-9]*'
    """  # noqa: S608 - a name of this package
)
_OF_RUN = "FROM events e JOIN sessions s ON s.id = e.session_id"
_SUMMARY = text(
    f"""
    SELECT e.payload {_OF_RUN} WHERE e.run_id = :run AND e.kind = '{SUMMARY}' AND json_valid(e.payload)
    ORDER BY {RANK} DESC LIMIT 1
    """
)
_BEST = text(
    f"""
    SELECT json_set(f.value, '$.epoch', json_extract(e.payload, '$.epoch'))
    {_OF_RUN}, json_each(CASE WHEN json_valid(e.payload) THEN e.payload ELSE '{{}}' END, '$.files') f
    WHERE e.run_id = :run AND e.kind = '{MODEL_SAVED}' AND f.type = 'object'
      AND json_extract(f.value, '$.role') = '{BEST}'
    ORDER BY {RANK} DESC LIMIT 1
    """
)
_BEST_KEPT = text(
    f"""
    SELECT e.payload {_OF_RUN} JOIN blobs b ON b.sha256 = json_extract(e.payload, '$.sha256') AND b.state = 'present'
    WHERE e.run_id = :run AND e.kind = '{CHECKPOINT}' AND e.key = '{BEST}' AND json_valid(e.payload)
    ORDER BY {RANK} DESC LIMIT 1
    """
)
_STEP = text(
    f"""
    SELECT e.payload {_OF_RUN} WHERE e.run_id = :run AND e.kind = '{EPOCH}' AND e.key = :key AND json_valid(e.payload)
    ORDER BY {RANK} DESC LIMIT 1
    """
)


@dataclass(frozen=True)
class Continuation:
    """What is known of a run that goes on; nothing of a new one.

    Attributes:
        following: The number after the highest of its epochs.
        summary: The payload of its last summary.
        best: What the save of its best weights told of their file, and its `epoch`; None where there was none.
        kept: What the checkpoint of these weights tells, if the journal has their bytes.
    """

    following: int = 0
    summary: Mapping[str, Any] = field(default_factory=dict)
    best: Mapping[str, Any] | None = None
    kept: Mapping[str, Any] | None = None


def read(connection: Connection, run_id: str) -> Continuation:
    """Return what the journal knows of a run that goes on."""
    values = {"run": run_id}
    following = connection.execute(_FOLLOWING, values).scalar_one()
    summary = connection.execute(_SUMMARY, values).scalar_one_or_none()
    found = connection.execute(_BEST, values).scalar_one_or_none()
    best = json.loads(found) if found else None
    kept = _kept(connection, values, best) if best else None
    return Continuation(following or 0, json.loads(summary) if summary else {}, best, kept)


def _kept(connection: Connection, values: Mapping[str, str], best: Mapping[str, Any]) -> Mapping[str, Any] | None:
    found = connection.execute(_BEST_KEPT, values).scalar_one_or_none()
    checkpoint = json.loads(found) if found else {}
    is_of_it = all(checkpoint.get(name) == best.get(name) for name in ("epoch", "size"))
    return checkpoint if found and is_of_it else None


def step(connection: Connection, run_id: str, number: int) -> Mapping[str, Any] | None:
    """Return the newest payload of a step; None where there is none."""
    found = connection.execute(_STEP, {"run": run_id, "key": str(number)}).scalar_one_or_none()
    payload = json.loads(found) if found else None
    return payload if isinstance(payload, dict) else None
