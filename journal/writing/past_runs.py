"""What a journal knows of a run of which somebody brings in the past: what it tells already, and who told it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, text

from journal.clock import utc_now
from journal.ids import digest
from journal.kinds import CHECKPOINT, CONSOLE, EPOCH, MEDIA, REGISTRATION
from journal.metrics import IMPORTED
from journal.retention import prunable
from journal.schema.tables import RANK
from journal.sessions import session_rows
from journal.sessions.identity import UNKNOWN, Newest
from journal.sessions.liveness import live_runs

_TOLD = text(
    f"""
    SELECT e.kind, e.key, e.payload FROM events e JOIN sessions s ON s.id = e.session_id
    WHERE e.run_id = :run AND e.kind NOT IN ('{REGISTRATION}', '{MEDIA}') ORDER BY {RANK}
    """  # noqa: S608 - names of this package
)
# Without payloads, which would be sorted with them: there may be gigabytes of images.
_IMAGES = text(
    f"""
    SELECT e.key, e.id FROM events e JOIN sessions s ON s.id = e.session_id
    WHERE e.run_id = :run AND e.kind = '{MEDIA}' ORDER BY {RANK}
    """  # noqa: S608 - names of this package
)
_PAYLOAD = text("SELECT payload FROM events WHERE id = :id")
# A session of training that does not say of itself that it was brought in.
_RECORDED = text(
    f"""
    SELECT EXISTS (
      SELECT 1 FROM sessions s WHERE s.run_id = :run AND s.purpose IS NULL AND NOT EXISTS (
        SELECT 1 FROM events e WHERE e.session_id = s.id AND e.kind = '{REGISTRATION}'
        AND json_extract(CASE WHEN json_valid(e.payload) THEN e.payload END, '$.environment.{IMPORTED}') IS NOT NULL))
    """  # noqa: S608 - names of this package
)


@dataclass(frozen=True)
class PastRun:
    """What a journal knows of a run.

    Attributes:
        told: The payload, as JSON text, of the newest event of each kind and key, but for starts, images and plots.
        console: The console text that it has, each chunk by its number, in order.
        checkpoints: Role and sha256 of each checkpoint.
        images: By name and step, the sha256 of the text that holds the image's bytes.
        newest: The newest session of training.
        is_recorded: Whether a training has recorded some of it; else all of it was brought in.
        is_live: Whether it is being trained.
        is_pruned: Whether events of it were deleted after they had arrived.
    """

    told: Mapping[tuple[str, str], str] = field(default_factory=dict)
    console: Sequence[tuple[int, str]] = ()
    checkpoints: frozenset[tuple[str, str]] = frozenset()
    images: Mapping[tuple[str, str], str] = field(default_factory=dict)
    newest: Newest = UNKNOWN
    is_recorded: bool = False
    is_live: bool = False
    is_pruned: bool = False

    @property
    def is_known(self) -> bool:
        """Whether the journal has any of it, or had."""
        return self.newest != UNKNOWN or self.is_pruned

    @property
    def epochs(self) -> Mapping[int, Mapping[str, Any]]:
        """The metrics of the epochs that it has, by number."""
        payloads = [json.loads(told) for (kind, _), told in self.told.items() if kind == EPOCH]
        return {each["epoch"]: each.get("metrics") or {} for each in payloads if isinstance(each.get("epoch"), int)}


def read(connection: Connection, run_id: str) -> PastRun:
    """Return what a journal knows of a run."""
    told: dict[tuple[str, str], str] = {}
    console: list[tuple[int, str]] = []
    checkpoints: set[tuple[str, str]] = set()
    for kind, key, payload in connection.execute(_TOLD, {"run": run_id}):
        told[kind, key] = payload
        if kind == CONSOLE:
            console.append((int(key), _member(payload, "content")))
        elif kind == CHECKPOINT:
            checkpoints.add((key, _member(payload, "sha256")))
    return PastRun(
        told,
        console,
        frozenset(checkpoints),
        _images(connection, run_id),
        session_rows.newest(connection, run_id),
        bool(connection.execute(_RECORDED, {"run": run_id}).scalar()),
        run_id in live_runs(connection, utc_now()),
        run_id in prunable.pruned(connection),
    )


def _images(connection: Connection, run_id: str) -> dict[tuple[str, str], str]:
    """Return the sha256 of the text that holds each image's bytes, by name and step; one after the other is read."""
    newest = {row.key: row.id for row in connection.execute(_IMAGES, {"run": run_id})}
    found = {}
    for key, row in newest.items():
        step, _, name = key.partition(" ")
        payload = connection.execute(_PAYLOAD, {"id": row}).scalar_one()
        found[name, step] = digest(_member(payload, "data"))
    return found


def _member(payload: str, name: str) -> str:
    """Return a text of a payload; "" where there is none."""
    try:
        return str(json.loads(payload).get(name) or "")
    except (ValueError, AttributeError, RecursionError):
        return ""
