"""What a run has printed, chunk by chunk in its order."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, text

from journal.kinds import CONSOLE
from journal.schema.tables import RANK

# Ids first, so that no text is sorted.
_IN_ORDER = text(
    f"""
    SELECT e.id FROM events e JOIN sessions s ON s.id = e.session_id
    WHERE e.run_id = :run AND e.kind = '{CONSOLE}' AND e.id > :after ORDER BY {RANK}
    """  # noqa: S608 - names of this package
)
_PAYLOAD = text("SELECT payload, created_at FROM events WHERE id = :id")


@dataclass(frozen=True)
class ConsoleChunk:
    """Consecutive lines of a run's output, as they were recorded.

    Attributes:
        id: Of the event: a later one arrived in the journal later.
        text: The lines, joined by newlines; "" where only progress moved.
        recorded_at: When, ISO.
        progress: The newest frame of each progress bar that was not closed yet, by the bar's id.
    """

    id: int
    text: str
    recorded_at: str
    progress: Mapping[str, str] = field(default_factory=dict)


def console_chunk_ids(connection: Connection, run_id: str, after: int = 0) -> list[int]:
    """Return the ids of a run's chunks in the order of the training.

    Args:
        connection: Any.
        run_id: The run.
        after: Only chunks with a higher id.
    """
    return [row.id for row in connection.execute(_IN_ORDER, {"run": run_id, "after": after})]


def console_tail(connection: Connection, run_id: str, lines: int) -> tuple[list[ConsoleChunk], int]:
    """Return the last chunks with so many lines, or a few more, and the id of the chunk that arrived last.

    Args:
        connection: Any.
        run_id: The run.
        lines: How many; the last chunk is returned in any case, as it has the progress.
    """
    ids = console_chunk_ids(connection, run_id)
    found: list[ConsoleChunk] = []
    for event_id in reversed(ids):
        found.append(console_chunk(connection, event_id))
        lines -= found[-1].text.count("\n") + 1 if found[-1].text else 0
        if lines <= 0:
            break
    return found[::-1], max(ids, default=0)


def console_chunk(connection: Connection, event_id: int) -> ConsoleChunk:
    """Return one chunk; an unreadable one is empty.

    Args:
        connection: Any.
        event_id: From `console_chunk_ids`.
    """
    row = connection.execute(_PAYLOAD, {"id": event_id}).one_or_none()
    try:
        told = json.loads(row.payload) if row else {}
        bars = {str(bar): str(frame) for bar, frame in (told.get("progress") or {}).items() if frame}
        return ConsoleChunk(event_id, str(told.get("content") or ""), row.created_at if row else "", bars)
    except (ValueError, TypeError, AttributeError):
        return ConsoleChunk(event_id, "", row.created_at if row else "")
