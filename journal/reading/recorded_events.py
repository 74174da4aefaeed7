"""What a run's sessions have recorded, in the order of the events' numbers, as the bytes that are stored: for proofs.

A session's events count from 1 up to the first number that is missing: one in a fallback file may still come in. What
has a higher number is only counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, text

from journal.kinds import CHECKPOINT, REGISTRATION

_SESSIONS = text("SELECT id, uuid, generation FROM sessions WHERE run_id = :run ORDER BY generation, uuid")
# As bytes, because text that is not UTF-8 could not be read.
_EVENTS = text(
    f"""
    SELECT seq, kind, CAST(key AS BLOB), CAST(payload AS BLOB),
           CASE WHEN kind = '{CHECKPOINT}' AND json_valid(payload) THEN json_extract(payload, '$.sha256') END
    FROM events WHERE session_id = :session ORDER BY seq
    """  # noqa: S608 - a name of this package
)
_STARTS = text(
    f"""
    SELECT s.uuid, json_extract(e.payload, '$.environment.uploaderProofKey') AS key
    FROM events e JOIN sessions s ON s.id = e.session_id
    WHERE e.run_id = :run AND e.kind = '{REGISTRATION}' AND json_valid(e.payload)
    """  # noqa: S608 - a name of this package
)
_BEYOND = text("SELECT count(*) FROM events WHERE session_id = :session AND seq > :last")
_DIGITS = frozenset("0123456789abcdef")


@dataclass(frozen=True)
class RecordedSession:
    """A session of a run.

    Attributes:
        id: Its local id.
        uuid: Its identity.
        generation: Its place among those of its run.
    """

    id: int
    uuid: str
    generation: int


class RecordedEvent(NamedTuple):
    """One event.

    Attributes:
        seq: Its number in its session.
        kind: Its kind.
        key: Its natural key; bytes that are not UTF-8 are lone surrogates.
        payload: The bytes that are stored.
        blob: The sha256 of the checkpoint's bytes, for a checkpoint.
    """

    seq: int
    kind: str
    key: str
    payload: bytes
    blob: str | None


def recorded_sessions(connection: Connection, run: str) -> Sequence[RecordedSession]:
    """Return the sessions of a run, in the order of their generations; the order is the same in every copy."""
    rows = connection.execute(_SESSIONS, {"run": run}).all()
    return [RecordedSession(row.id, row.uuid, row.generation) for row in rows]


def recorded_events(connection: Connection, session: RecordedSession) -> Iterator[RecordedEvent]:
    """Yield a session's events from the first up to the last before a missing number."""
    with connection.execute(_EVENTS, {"session": session.id}) as rows:
        for expected, (seq, kind, key, payload, blob) in enumerate(rows, 1):
            if seq != expected:
                return
            name = _as_bytes(key).decode("utf-8", "surrogateescape")
            yield RecordedEvent(seq, kind, name, _as_bytes(payload), blob if is_digest(blob) else None)


def _as_bytes(stored: bytes | str) -> bytes:
    """Return what is stored as bytes: a shared journal has UTF-8 alone, and no other type for it."""
    return stored.encode() if isinstance(stored, str) else bytes(stored)


def announced_keys(connection: Connection, run: str) -> dict[str, str]:
    """Return the key that each session has announced in its training's start, by the session's uuid."""
    rows = connection.execute(_STARTS, {"run": run}).all()
    return {row.uuid: row.key for row in rows if isinstance(row.key, str)}


def number_beyond(connection: Connection, session: RecordedSession, last: int) -> int:
    """Return how many events of a session have a higher number than this one."""
    return int(connection.execute(_BEYOND, {"session": session.id, "last": last}).scalar_one())


def is_digest(value: object) -> bool:
    """Return whether a value is a sha256 in hexadecimal digits."""
    return isinstance(value, str) and len(value) == 64 and _DIGITS.issuperset(value)
