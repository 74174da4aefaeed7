"""Which journal owns a fallback file: decided by the journal's uuid, and by its path only where that is safe.

Nodes of a cluster may have their journals at the same path, each on its own disk, and share one folder of fallback
files. And journals are moved, mounted elsewhere, copied, deleted and created again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from journal.sessions.liveness import boot_id, host_name
from journal.writing.fallback_format import Header, files, read_header

_NAME = "SELECT value FROM facts WHERE name = 'journal'"
Query = Callable[[str], Iterable[Sequence[Any]]]
"""Returns the rows that an SQL query gives."""


@dataclass(frozen=True)
class Owner:
    """What identifies a journal as the owner of fallback files.

    Attributes:
        folder: Where it is.
        uuid: The journal's uuid; None if it has none or it cannot be read.
        known: Uuids of its sessions and runs.
    """

    folder: Path
    uuid: str | None = None
    known: frozenset[str] = frozenset()

    def owns(self, header: Header) -> bool:
        """Return whether events were meant for this journal.

        A journal that was moved keeps its uuid. Of two journals with one uuid, a copy and its original, the owner is
        the one at the path that the header names. A journal with another uuid at that path was created again by this
        machine, or belongs to another one.
        """
        is_here = self.is_at(header)
        if self.uuid and self.uuid == header.journal_uuid:
            return is_here or not _has_name(Path(header.journal), self.uuid)
        is_known = (header.session or header.run.id) in self.known
        if self.uuid and header.journal_uuid:
            return is_here and (is_known or _is_of_this_boot(header))
        return is_here and (is_known or is_of_this_machine(header))

    def is_at(self, header: Header) -> bool:
        """Return whether the journal is at the path that a header names."""
        place = Path(header.journal)
        try:
            return place == self.folder.resolve() or place.samefile(self.folder)
        except OSError:
            return False


@dataclass(frozen=True)
class FilesByOwner:
    """Fallback files by owner.

    Attributes:
        own: Header and path of each file of the journal in question.
        others: Files of other journals, by the location of each journal.
        unreadable: Files without a readable header.
    """

    own: list[tuple[Header, Path]] = field(default_factory=list)
    others: dict[str, list[Path]] = field(default_factory=dict)
    unreadable: list[Path] = field(default_factory=list)


def files_by_owner(owner: Owner, folders: Iterable[Path]) -> FilesByOwner:
    """Return the fallback files in the given folders, by owner."""
    found = FilesByOwner()
    for path in files(folders):
        header = read_header(path)
        if header is None:
            found.unreadable.append(path)
        elif owner.owns(header):
            found.own.append((header, path))
        else:
            found.others.setdefault(_location(owner, header), []).append(path)
    return found


def owner(connection: Connection, folder: Path) -> Owner:
    """Return what identifies an open journal.

    Args:
        connection: To its database.
        folder: Where it is, or the folder that it is a copy of.
    """
    return _owner(lambda query: connection.exec_driver_sql(query).all(), folder)


def owner_at(folder: Path) -> Owner:
    """Return what identifies the journal in a folder, which may be missing, damaged or of an earlier version."""
    try:
        with closing(_open(folder)) as connection:
            return _owner(lambda query: connection.execute(query).fetchall(), folder)
    except sqlite3.Error:
        return Owner(folder)


def is_of_this_machine(header: Header) -> bool:
    """Return whether a file was written on this machine, judging by the boot id and host name in its header."""
    return _is_of_this_boot(header) or header.host == host_name()


def _owner(query: Query, folder: Path) -> Owner:
    names = [row[0] for row in query(_NAME)]
    known = frozenset(row[0] for row in query("SELECT uuid FROM sessions UNION SELECT id FROM runs"))
    return Owner(folder, names[0] if names else None, known)


def _location(owner: Owner, header: Header) -> str:
    """Return where a file's journal is: its folder, preceded by the host name if it is on another machine."""
    is_near = is_of_this_machine(header) and not owner.is_at(header)
    return header.journal if is_near else f"{header.host}:{header.journal}"


def _is_of_this_boot(header: Header) -> bool:
    here, there = boot_id().partition(" ")[0], header.boot_id.partition(" ")[0]
    return bool(here) and here == there


def _has_name(folder: Path, uuid: str) -> bool:
    """Return whether the journal in a folder has this uuid; True when it cannot be read, as it might."""
    if not (folder / "journal.db").exists():
        return False
    try:
        with closing(_open(folder)) as connection:
            return (uuid,) in connection.execute(_NAME).fetchall()
    except sqlite3.Error:
        return True


def _open(folder: Path) -> sqlite3.Connection:
    """Open a database read-only; refuse an empty one, whose write-ahead log is all that is left of it.

    Raises:
        sqlite3.Error: It does not exist, or cannot be read.
    """
    try:
        if not (folder / "journal.db").stat().st_size:
            raise sqlite3.OperationalError("it is empty")
    except OSError as error:
        raise sqlite3.OperationalError(str(error)) from error
    return sqlite3.connect(f"{(folder / 'journal.db').absolute().as_uri()}?mode=ro", uri=True)
