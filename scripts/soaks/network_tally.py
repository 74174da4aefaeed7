"""The figures of the network suites, and reading a journal with SQLite alone, not with the code under test."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from soaks.figures import Figures


@dataclass
class NetworkTally(Figures):
    """The figures of one suite; all from `stuck` on must be zero.

    Attributes:
        rounds: Number of schedules.
        drains: Drains that were needed.
        kills: Drains that were ended by SIGKILL.
        stops: Drains that were stopped by SIGTERM.
        requests: Requests that arrived at the proxy.
        faults: How often each fault happened.
        stuck: Schedules that did not end.
        broken: Drains that ended with an internal error.
        lost: Things that are in the journal, but not on the platform.
        doubled: Things that the platform should not have: models, runs, text.
        torn: Checkpoints whose bytes differ from those journaled.
        leaked: Requests that followed a redirect.
        notes: Descriptions of the findings.
    """

    rounds: int = 0
    drains: int = 0
    kills: int = 0
    stops: int = 0
    requests: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    stuck: int = 0
    broken: int = 0
    lost: int = 0
    doubled: int = 0
    torn: int = 0
    leaked: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def damaged(self) -> int:
        """Faults other than losses."""
        return self.stuck + self.broken + self.doubled + self.torn + self.leaked

    def note(self, figure: str, what: str) -> None:
        """Count a fault, and describe it."""
        setattr(self, figure, getattr(self, figure) + 1)
        self.notes.append(f"{figure}: {what}")


def rows(folder: Path, query: str, *values: object) -> list[tuple[Any, ...]]:
    """Query a journal over a separate connection."""
    with closing(sqlite3.connect(folder / "journal.db")) as connection:
        return connection.execute(query, values).fetchall()


def events(folder: Path, run_id: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield kind and payload of a run's events, in order."""
    for kind, payload in rows(folder, "SELECT kind, payload FROM events WHERE run_id = ? ORDER BY id", run_id):
        yield kind, json.loads(payload)
