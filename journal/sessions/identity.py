"""The identity of an event: its session's uuid and its number there. It is the same wherever the event is copied.

A session's uuid is created when a process begins to write; its events are numbered from 1, under the lock of the
INSERT. A missing number is in a fallback file, or was evicted or lost. Local ids are an index, never an identity.
"""

from __future__ import annotations

import os
import sqlite3
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from journal.schema.tables import TRIGGERS
from journal.sessions.liveness import host_name
from journal.sessions.origin import PLACE

_NAMESPACE = uuid.UUID("8f0c2f5e-6f2b-4f7c-9a1d-3b8f4f0a7c11")

JOURNAL = "journal"
"""Name of the fact that holds this journal's uuid."""

SALVAGE = "salvage"
"""Purpose of a session that stored a checkpoint which a dead session had saved."""
UPKEEP = "upkeep"
"""Purpose of a session that recorded an eviction."""
INTENT = "intent"
"""Purpose of a session that recorded what a person wants done on a platform."""
FORK = "fork"
"""Purpose of a session of a process that a training forked."""
TWIN = "twin"
"""Purpose of a session whose events have the same numbers as other events of its parent."""


# Plain tuples, because this is the hot path.
Draft = tuple[str, str, str, str]
"""An event to be written, to a journal or a fallback file: kind, key, payload, time."""
Entry = tuple[str, str, str, str, int]
"""The same with its number in the session."""
ENTRY_FIELDS = ("kind", "key", "payload", "created_at", "seq")


class Newest(NamedTuple):
    """The newest known session of a run; a generation of 0 if there is none."""

    generation: int = 0
    uuid: str | None = None


UNKNOWN = Newest()
_ANCESTORS = 100
"""At most so many ancestors of a session are recorded, the newest ones: a run may be resumed every hour for weeks."""


@dataclass
class Session:
    """Numbers the events of one process's writing to a run. In a forked child it becomes another session.

    Attributes:
        run_id: Uuid of the run.
        uuid: Its identity.
        generation: 1 + the highest known generation of the run when it began; None until that could be read.
        parent: Uuid of the session that it continues, None for the first.
        purpose: Why it writes, if it is not a training's session, else None.
        last: The last number that was assigned.
        is_stored: Whether it is in a journal, so that its generation is final.
        journal: Uuid of the journal that it writes to; None until one could be opened.
        ancestors: Uuids of the known sessions before it, the oldest first and the parent last.
    """

    run_id: str
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()))
    generation: int | None = None
    parent: str | None = None
    purpose: str | None = None
    last: int = 0
    is_stored: bool = False
    journal: str | None = None
    ancestors: tuple[str, ...] = ()
    _pid: int = field(default_factory=os.getpid)

    def continue_after(self, newest: Newest) -> None:
        """Take the generation after the newest known session of the run, unless its own is final."""
        if not self.is_stored and newest.generation >= (self.generation or 1):
            self.generation, self.parent = newest.generation + 1, newest.uuid
            self.ancestors = (*self.ancestors, *([newest.uuid] if newest.uuid else []))[-_ANCESTORS:]
        self.generation = self.generation or 1

    def entries(self, drafts: Iterable[Draft]) -> list[Entry]:
        """Return drafts with their numbers; the caller keeps others from numbering meanwhile."""
        if self._pid != os.getpid():
            self._begin_anew()
        entries: list[Entry] = []
        for draft in drafts:
            self.last += 1
            entries.append((*draft, self.last))
        return entries

    def next(self) -> int:
        """Return the next number."""
        self.last += 1
        return self.last

    def facts(self) -> dict[str, Any]:
        """Return what platforms and other sessions are told of it."""
        lineage = {"ancestors": list(self.ancestors)} if self.ancestors else {}
        return {"uuid": self.uuid, "generation": self.generation, "parent": self.parent, **lineage}

    def _begin_anew(self) -> None:
        """Begin a session for a forked child, of the same generation as its parent, which goes on."""
        self.parent, self.uuid, self.purpose = self.uuid, str(uuid.uuid4()), FORK
        self.ancestors = (*self.ancestors, self.parent)[-_ANCESTORS:]
        self.last, self._pid = 0, os.getpid()


def derived(*parts: object) -> str:
    """Return the uuid that is derived from these parts, the same on every machine."""
    return str(uuid.uuid5(_NAMESPACE, "".join(f"{len(str(part))}:{part}" for part in parts)))


def journal_uuid(connection: sqlite3.Connection) -> str | None:
    """Return the journal's uuid; None if somebody has deleted it."""
    row = connection.execute("SELECT value FROM facts WHERE name = ?", (JOURNAL,)).fetchone()
    return row[0] if row else None


def place_of(database: Path) -> str:
    """Return what distinguishes this file from a copy: machine, folder and inode."""
    try:
        inode = database.stat().st_ino
    except OSError:
        inode = 0
    return f"{host_name()} {database.resolve().parent} {inode}"


def withdraw(connection: sqlite3.Connection) -> None:
    """Remove what `assign` creates, so that rows of another journal can be inserted unchanged, including its uuid."""
    connection.execute("DELETE FROM facts")
    for name in TRIGGERS:
        connection.execute(f"DROP TRIGGER {name}")


def adopt(connection: sqlite3.Connection) -> None:
    """Do what `assign` does, for rows that were copied from another journal, whose place this is now."""
    connection.execute("DELETE FROM facts WHERE name = ?", (PLACE,))
    assign(connection)


def assign(connection: sqlite3.Connection) -> None:
    """Give rows of earlier versions their identities, and create the triggers that do so for later rows.

    Two copies that are migrated separately get the same identities, because these are derived from the rows.

    Args:
        connection: In a write transaction.
    """
    connection.create_function("derived_uuid", -1, derived, deterministic=True)
    for statement in _ASSIGN:
        connection.execute(statement)
    (_, _, database), *_ = connection.execute("PRAGMA database_list").fetchall()
    names = {JOURNAL: str(uuid.uuid4()), PLACE: place_of(Path(database))}
    connection.executemany("INSERT OR IGNORE INTO facts VALUES (?, ?)", names.items())
    for name, rule in TRIGGERS.items():
        connection.execute(f"DROP TRIGGER IF EXISTS {name}")
        connection.execute(f"CREATE TRIGGER {name} {rule}")


_ASSIGN = (
    """UPDATE sessions SET uuid = derived_uuid('session', run_id, id, pid, host, boot_id, started_at)
       WHERE uuid IS NULL""",
    """UPDATE sessions SET generation = (SELECT count(*) FROM sessions o WHERE o.run_id = sessions.run_id
                                         AND o.id <= sessions.id)
       WHERE generation IS NULL""",
    """UPDATE sessions SET parent = (SELECT o.uuid FROM sessions o WHERE o.run_id = sessions.run_id
                                     AND o.generation < sessions.generation
                                   ORDER BY o.generation DESC, o.id DESC LIMIT 1)
       WHERE parent IS NULL AND generation > 1""",
    "UPDATE OR IGNORE events SET seq = id WHERE seq IS NULL",
)
