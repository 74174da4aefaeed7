"""The deliveries of a run: what is sent where, in how many attempts, and why it has not arrived."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Row, TextClause, text

from journal.records import State

# What needs a person first, then what fails, what waits, and what has arrived, the newest first.
_DELIVERIES = text(
    """
    SELECT d.id, d.chunk_id, d.kind, d.role, d.state, t.platform, t.base_url, d.attempts, d.last_error,
           d.next_attempt_at, coalesce(b.size, length(CAST(d.body AS BLOB))) AS bytes, d.created_at, d.settled_at
    FROM deliveries d JOIN destinations t ON t.id = d.destination_id LEFT JOIN blobs b ON b.sha256 = d.sha256
    WHERE d.run_id = :run
    ORDER BY CASE WHEN d.state = 'dead' THEN 0 WHEN d.state = 'delivered' THEN 3
                  WHEN d.state IN ('pending', 'claimed') THEN CASE WHEN d.last_error IS NULL THEN 2 ELSE 1 END
                  ELSE 4 END,
             CASE WHEN d.state IN ('dead', 'pending', 'claimed') THEN d.id ELSE -d.id END
    LIMIT :most
    """
)
_FAILURES = text(
    """
    SELECT delivery_id, number, result, error, at FROM attempts
    WHERE delivery_id IN (SELECT CAST(value AS BIGINT) FROM json_each(:ids)) ORDER BY id
    """
)
_ALL = 1 << 62


@dataclass(frozen=True)
class FailedAttempt:
    """One attempt that did not deliver.

    Attributes:
        number: Which one it was, from 1.
        result: What it came to.
        reason: Why, without secrets.
        at: When, ISO.
    """

    number: int
    result: str
    reason: str | None
    at: str


@dataclass(frozen=True)
class DeliveryRecord:
    """What is sent to one destination in one piece.

    Attributes:
        id: What `retry` and `drop` know it by, where it is a dead letter.
        chunk_id: The idempotency key, the same for each attempt.
        kind: The message's event, or `checkpoint`.
        role: The checkpoint's; None for a message.
        state: See `journal.records`.
        platform: Name of the destination's API.
        base_url: Its address; "" while nobody knows it.
        attempts: How often it was tried.
        reason: Why the last attempt failed, or why it is not sent; None where there is nothing to say.
        next_attempt_at: Not before this time, ISO; None for what is settled.
        bytes: Its size.
        planned_at: When it was planned, ISO.
        settled_at: When it was settled, ISO; None while it is open.
        failures: The attempts that failed, oldest first.
    """

    id: int
    chunk_id: str
    kind: str
    role: str | None
    state: State
    platform: str
    base_url: str
    attempts: int
    reason: str | None
    next_attempt_at: str | None
    bytes: int
    planned_at: str
    settled_at: str | None
    failures: tuple[FailedAttempt, ...] = ()


def delivery_records(connection: Connection, run_id: str, most: int | None = None) -> list[DeliveryRecord]:
    """Return the deliveries of a run: dead letters first, then those that fail, those that wait, and the newest others.

    Args:
        connection: Any.
        run_id: The run.
        most: So many of them; None for all.
    """
    rows = connection.execute(_DELIVERIES, {"run": run_id, "most": _ALL if most is None else most}).all()
    failures: dict[int, list[FailedAttempt]] = {}
    for row in connection.execute(_FAILURES, {"ids": json.dumps([row.id for row in rows])}):
        failures.setdefault(row.delivery_id, []).append(FailedAttempt(row.number, row.result, row.error, row.at))
    return [_record(row, failures.get(row.id, ())) for row in rows]


def states_query(chosen: str) -> TextClause:
    """Return the query of `states_by_event` for some of a run's deliveries.

    Args:
        chosen: Which of the deliveries `d`, as SQL.
    """
    return text(
        f"""
        SELECT d.first_event, t.base_url, d.state FROM deliveries d JOIN destinations t ON t.id = d.destination_id
        WHERE d.run_id = :run AND {chosen} ORDER BY d.id
        """  # noqa: S608 - names of this package
    )


def states_by_event(connection: Connection, query: TextClause, run_id: str) -> Mapping[int, Mapping[str, str]]:
    """Return the state of deliveries by their event's id and their destination's address.

    Args:
        connection: Any.
        query: From `states_query`.
        run_id: The run.
    """
    states: dict[int, dict[str, str]] = {}
    for row in connection.execute(query, {"run": run_id}):
        states.setdefault(row.first_event, {})[row.base_url] = row.state  # the newest, where it was sent again
    return states


def _record(row: Row[tuple[object, ...]], failures: Sequence[FailedAttempt]) -> DeliveryRecord:
    return DeliveryRecord(
        id=row.id,
        chunk_id=row.chunk_id,
        kind=row.kind,
        role=row.role,
        state=row.state,
        platform=row.platform,
        base_url=row.base_url,
        attempts=row.attempts,
        reason=row.last_error,
        next_attempt_at=None if row.settled_at else row.next_attempt_at,
        bytes=row.bytes,
        planned_at=row.created_at,
        settled_at=row.settled_at,
        failures=tuple(failures),
    )
