"""What is new of a run since an event, for whoever looks at it while it is trained."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from journal.kinds import EPOCH, MEDIA, SYSTEM_METRICS
from journal.reading.console_text import ConsoleChunk, console_chunk, console_chunk_ids, console_tail
from journal.reading.measured_epochs import Measured, measured
from journal.reading.non_numbers import other_epochs
from journal.reading.recorded_epochs import newest_epochs
from journal.schema.tables import RANK

_OTHERS = 500
"""So many epochs are looked at for what is no finite number."""
_SAMPLES = text(
    f"""
    SELECT e.created_at, CASE e.kind WHEN '{EPOCH}' THEN json_extract(e.payload, '$.system') ELSE e.payload END AS told
    FROM events e JOIN sessions s ON s.id = e.session_id
    WHERE e.run_id = :run AND e.id > :after AND e.kind IN ('{EPOCH}', '{SYSTEM_METRICS}') AND json_valid(e.payload)
    ORDER BY {RANK}
    """  # noqa: S608 - names of this package
)
_MEDIA = text(f"SELECT count(DISTINCT key) FROM events WHERE run_id = :run AND kind = '{MEDIA}'")  # noqa: S608 - a name
_LAST = text("SELECT coalesce(max(id), 0) FROM events WHERE run_id = :run")


@dataclass(frozen=True)
class RunCurves(Measured):
    """What a run has measured, or what of it is new.

    Attributes:
        last: Id of its last event.
    """

    last: int


@dataclass(frozen=True)
class RunGrowth(RunCurves):
    """What is new of a run.

    Attributes:
        samples: When the machine was looked at, ISO, and what that told.
        console: What it printed.
        console_is_later: Whether that comes after all that was known; else it is the end anew.
        is_cut: Whether it printed more before.
        media: How many images and plots a loop has logged.
        others: The number and the payload of the newest epochs that may have told something else than finite numbers,
            the newest first.
    """

    samples: Sequence[tuple[str, Any]]
    console: Sequence[ConsoleChunk]
    console_is_later: bool
    is_cut: bool
    media: int
    others: Sequence[tuple[int, Mapping[str, Any]]]


def last_event(connection: Connection, run_id: str) -> int:
    """Return the id of a run's last event, 0 where it has none."""
    found: int = connection.execute(_LAST, {"run": run_id}).scalar_one()
    return found


def run_curves(connection: Connection, run_id: str, after: int) -> RunCurves:
    """Return what a run has measured.

    Args:
        connection: Any.
        run_id: The run.
        after: Id of the event after which it is new; 0 for all.
    """
    found = measured(connection, run_id, after)
    return RunCurves(found.epochs, found.evaluation, found.best, last_event(connection, run_id))


def run_growth(connection: Connection, run_id: str, after: int, lines: int) -> RunGrowth:
    """Return what is new of a run.

    Args:
        connection: Any.
        run_id: The run.
        after: Id of the event after which it is new; 0 for all, of the console the end.
        lines: So many of the last lines of the console, or more, where it is told anew.
    """
    values = {"run": run_id, "after": after}
    curves = run_curves(connection, run_id, after)
    console, is_later, is_cut = _console(connection, run_id, after, lines)
    return RunGrowth(
        last=curves.last,
        epochs=curves.epochs,
        evaluation=curves.evaluation,
        best=curves.best,
        samples=[(row.created_at, json.loads(row.told)) for row in connection.execute(_SAMPLES, values) if row.told],
        console=console,
        console_is_later=is_later,
        is_cut=is_cut,
        media=connection.execute(_MEDIA, values).scalar_one(),
        others=[*other_epochs(connection, newest_epochs(connection, run_id), _OTHERS)],
    )


def _console(connection: Connection, run_id: str, after: int, lines: int) -> tuple[list[ConsoleChunk], bool, bool]:
    every = console_chunk_ids(connection, run_id)
    new = [one for one in every if one > after]
    if after and every[len(every) - len(new) :] == new:
        return [console_chunk(connection, one) for one in new], True, False
    tail, _ = console_tail(connection, run_id, lines)
    return tail, False, len(tail) < len(every)
