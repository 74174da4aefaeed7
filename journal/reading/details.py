"""What a closer look tells of runs: how far they were trained, and how well that goes."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, text

from journal.kinds import CHECKPOINT, EPOCH, EVALUATED, NOT_FOR_PLATFORMS, REGISTRATION, listed
from journal.schema.neutral import number
from journal.schema.tables import RANK, epochs, rank


def _newest(kind: str) -> str:
    """Return the SQL for the newest event of a kind of run `r`: of each session the last one, and of those the last."""
    return f"""
        FROM sessions s JOIN events m ON m.id = (SELECT e.id FROM events e
                                                 WHERE e.session_id = s.id AND e.kind = '{kind}'
                                                 ORDER BY e.seq DESC LIMIT 1)
        WHERE s.run_id = r.id AND json_valid(m.payload) ORDER BY {rank("m", "s")} DESC LIMIT 1"""  # noqa: S608 - names


# Of the last step, which a loop need not have recorded last; as in `recorded_epochs`.
_LAST_EPOCH = f"""
        FROM events m WHERE json_valid(m.payload) AND m.id = (
            SELECT e.id FROM events e JOIN sessions s ON s.id = e.session_id
            WHERE e.run_id = r.id AND e.kind = '{EPOCH}'
            ORDER BY {number("e.key")} DESC, {RANK} DESC LIMIT 1)"""  # noqa: S608 - names
_PLANNED = number("json_extract(m.payload, '$.epochs')")
_SIZE = number("json_extract(e.payload, '$.size')")
_CHOSEN = "FROM runs r WHERE r.id IN (SELECT value FROM json_each(:runs))"
_TRAINED = text(
    f"""
    SELECT r.id, {epochs("r")} AS epochs,
           (SELECT CASE json_type(m.payload, '$.epochs') WHEN 'integer' THEN {_PLANNED} END {_newest(REGISTRATION)})
             AS planned,
           (SELECT json_extract(m.payload, '$.metrics') {_LAST_EPOCH}) AS metrics
    {_CHOSEN}
    """
)
# Of what no target has planned yet: what is sent of it, and the newest checkpoint of each role, if it is published.
_UNPLANNED = text(
    f"""
    SELECT r.id,
           CAST((SELECT coalesce(sum(length(e.payload)), 0) FROM events e
            WHERE e.run_id = r.id AND e.id > r.planned AND e.kind NOT IN ({listed(NOT_FOR_PLATFORMS)})) +
           (SELECT coalesce(sum(size), 0) FROM (
              SELECT DISTINCT sha256, size FROM (
                SELECT json_extract(e.payload, '$.sha256') AS sha256, {_SIZE} AS size,
                       row_number() OVER (PARTITION BY e.key ORDER BY {RANK} DESC, e.id) AS place
                FROM events e JOIN sessions s ON s.id = e.session_id
                WHERE e.run_id = r.id AND e.id > r.planned AND e.kind = '{CHECKPOINT}' AND json_valid(e.payload)
                  AND CAST(json_extract(e.payload, '$.publish') AS TEXT) = '1') recorded
              WHERE place = 1) published) AS BIGINT) AS bytes
    FROM (SELECT r.id, coalesce((SELECT min(t.planned_through) FROM targets t
                                 WHERE t.run_id = r.id AND t.dropped_at IS NULL), 0) AS planned {_CHOSEN}) r
    """  # noqa: S608 - names of this package
)
_TOLD_FIRST = ("mAP50-95", "accuracy_top1", "mAP50", "mIoU")
"""What of a trainer's metrics says how good a model is, the first that there is."""


@dataclass(frozen=True)
class Metric:
    """One figure of the last epoch.

    Attributes:
        name: As it was recorded.
        value: What it was.
    """

    name: str
    value: float


@dataclass(frozen=True)
class RunDetails:
    """What a closer look tells of a run.

    Attributes:
        epochs: How many were trained; the final evaluation is none.
        planned_epochs: How many there were to be, if that was recorded.
        metric: What the last epoch says of the model, if it says anything.
        unplanned_bytes: Of what no delivery was made for yet: of checkpoints those that are published. Others stay
            here, but for those that a platform takes for going on with a training.
    """

    epochs: int
    planned_epochs: int | None
    metric: Metric | None
    unplanned_bytes: int


def details(connection: Connection, run_ids: Collection[str]) -> Mapping[str, RunDetails]:
    """Return what a closer look tells of runs, by their uuids."""
    values = {"runs": json.dumps([*run_ids])}
    waiting = {row.id: row.bytes for row in connection.execute(_UNPLANNED, values)}
    rows = connection.execute(_TRAINED, values)
    return {row.id: _details(row, waiting.get(row.id, 0)) for row in rows}


def _details(row: Row[Any], waiting: int) -> RunDetails:
    planned = row.planned if row.planned is not None and row.planned > 0 else None
    return RunDetails(row.epochs, planned, _metric(row.metrics), waiting)


def _metric(text: object) -> Metric | None:
    """Return the figure that says most; in a loop of one's own that is the first one it recorded."""
    found = json.loads(text) if isinstance(text, str) and text.startswith("{") else {}
    numbers = {name: value for name, value in found.items() if isinstance(value, int | float)}
    told = [name for name in numbers if name.startswith(EVALUATED)] or [*numbers]
    if not told:
        return None
    name = next((one for wanted in _TOLD_FIRST for one in told if wanted in one), told[0])
    return Metric(name, float(numbers[name]))
