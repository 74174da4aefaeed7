"""Taking in the epochs that a trainer's own record has and the journal lacks."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, Row, insert, text

from journal.clock import now_text, to_text
from journal.encoding import encode
from journal.kinds import EPOCH
from journal.schema import tables
from journal.schema.tables import RANK
from journal.sessions import session_rows
from journal.sessions.identity import SALVAGE
from journal.sessions.lost_epochs import LostEpoch, RecordedEpoch, TrainerRecord, lost_epochs
from journal.storage.backend import Begin

_RECORDED = text(
    f"""
    SELECT e.key, e.payload, s.generation FROM events e JOIN sessions s ON s.id = e.session_id
    WHERE e.run_id = :run_id AND e.kind = '{EPOCH}' AND json_valid(e.payload)
    ORDER BY {RANK}
    """  # noqa: S608 - names of this package
)


_COUNT = text(
    f"""
    SELECT count(DISTINCT key) FROM events
    WHERE run_id = :run_id AND kind = '{EPOCH}' AND substr(key, 1, 1) BETWEEN '0' AND '9'
      AND CAST(round(key) AS BIGINT) < :before
    """  # noqa: S608 - a name of this package
)


def count(connection: Connection, run_id: str, before: int) -> int:
    """Return how many epochs of a run with lower numbers than one are in the journal."""
    return int(connection.execute(_COUNT, {"run_id": run_id, "before": before}).scalar_one())


def find(connection: Connection, run_id: str, record: TrainerRecord, newest: int) -> list[LostEpoch]:
    """Return the epochs that the journal lacks of a run; see `lost_epochs`.

    Args:
        connection: Any.
        run_id: Uuid of the run.
        record: The trainer's.
        newest: Generation of the session that wrote the end of that record.
    """
    if not record.epochs:
        return []
    recorded = [epoch for row in connection.execute(_RECORDED, {"run_id": run_id}) if (epoch := _recorded(row))]
    return lost_epochs(run_id, record.epochs, recorded, newest, must_agree=record.is_doubtful)


def take_in(begin: Begin, run_id: str, record: TrainerRecord, newest: int) -> list[int]:
    """Record the epochs that the journal lacks, in one transaction; return their numbers, in order.

    Args:
        begin: Begins a transaction of the journal.
        run_id: Uuid of the run.
        record: The trainer's.
        newest: Generation of the session that wrote the end of that record.
    """
    with begin(read_only=True) as connection:
        if not find(connection, run_id, record, newest):
            return []
    with begin() as connection:
        lost = find(connection, run_id, record, newest)
        for one in lost:
            _write(connection, one)
    return sorted(one.epoch.number for one in lost)


def _recorded(row: Row[Any]) -> RecordedEpoch | None:
    """Return an epoch of the journal; None for an event that tells none."""
    payload = json.loads(row.payload)
    number = payload.get("epoch") if isinstance(payload, dict) else None
    if not isinstance(number, int):
        return None
    metrics = payload.get("metrics")
    return RecordedEpoch(number, metrics if isinstance(metrics, dict) else {}, row.generation)


def _write(connection: Connection, lost: LostEpoch) -> None:
    session = lost.salvaging()
    row = session_rows.begin(connection, session, ended_at=now_text(), outcome=SALVAGE)
    values = {"run_id": lost.run_id, "session_id": row, "kind": EPOCH, "key": str(lost.epoch.number)}
    at = now_text() if lost.epoch.at is None else to_text(lost.epoch.at)
    entry = {"payload": encode(lost.payload), "created_at": at, "seq": session.next()}
    connection.execute(insert(tables.events).values(**values, **entry))
