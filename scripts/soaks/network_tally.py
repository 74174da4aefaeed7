"""The figures of the network suites, and reading a journal by SQLite alone, not by the code under test."""

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
        rounds: Schedules.
        drains: Drains that it took.
        kills: Drains that were ended by SIGKILL.
        stops: Drains that were told to end by SIGTERM.
        requests: Requests that arrived at the proxy.
        faults: How often each fault happened.
        stuck: Schedules that came to no end.
        broken: Drains that ended by an error of their own.
        lost: Things that are in the journal and not on the platform.
        doubled: Things that the platform has and should not: models, runs, text.
        torn: Checkpoints whose bytes are not those that were journaled.
        leaked: Requests that followed a redirect.
        notes: What was found, for people.
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
        """What is wrong besides what is lost."""
        return self.stuck + self.broken + self.doubled + self.torn + self.leaked

    def note(self, figure: str, what: str) -> None:
        """Count something that is wrong."""
        setattr(self, figure, getattr(self, figure) + 1)
        self.notes.append(f"{figure}: {what}")


def rows(folder: Path, query: str, *values: object) -> list[tuple[Any, ...]]:
    """Read a journal by a connection of its own."""
    with closing(sqlite3.connect(folder / "journal.db")) as connection:
        return connection.execute(query, values).fetchall()


def events(folder: Path, run_id: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield kind and payload of a run's events, in order."""
    for kind, payload in rows(folder, "SELECT kind, payload FROM events WHERE run_id = ? ORDER BY id", run_id):
        yield kind, json.loads(payload)
