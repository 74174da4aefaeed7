"""Whose a fallback file is: told by the journal's own name, and by its path only where that is safe.

Nodes of a cluster have their journals at one path, each on its own disk, and share the folder of fallback files. And
journals are moved, mounted elsewhere, copied, removed and made anew.
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
from journal.writing.fallback import Header, files, read_header

_NAME = "SELECT value FROM facts WHERE name = 'journal'"
Ask = Callable[[str], Iterable[Sequence[Any]]]
"""Returns the rows that an SQL query gives."""


@dataclass(frozen=True)
class Home:
    """A journal, by what tells which fallback files are its own.

    Attributes:
        folder: Where it is.
        uuid: Its name; None where there is none, or it cannot be read.
        known: Uuids of its sessions and runs.
    """

    folder: Path
    uuid: str | None = None
    known: frozenset[str] = frozenset()

    def owns(self, header: Header) -> bool:
        """Return whether events were meant for this journal.

        One that was moved has its name still; of two that have it, as a copy does, it is the one that the file names. A
        journal of another name in its place was made anew by this machine, or is another machine's.
        """
        is_here = self.is_at(header)
        if self.uuid and self.uuid == header.journal_uuid:
            return is_here or not _has_name(Path(header.journal), self.uuid)
        is_known = (header.session or header.run.id) in self.known
        if self.uuid and header.journal_uuid:
            return is_here and (is_known or _is_of_this_boot(header))
        return is_here and (is_known or is_of_this_machine(header))

    def is_at(self, header: Header) -> bool:
        """Return whether the journal has the path that a file names."""
        place = Path(header.journal)
        try:
            return place == self.folder.resolve() or place.samefile(self.folder)
        except OSError:
            return False


@dataclass(frozen=True)
class Sorted:
    """Fallback files by whose they are.

    Attributes:
        own: Those of the journal that was asked about, with their first lines.
        others: Those of others, by where those are.
        unreadable: Those that do not say.
    """

    own: list[tuple[Header, Path]] = field(default_factory=list)
    others: dict[str, list[Path]] = field(default_factory=dict)
    unreadable: list[Path] = field(default_factory=list)


def sort_out(home: Home, folders: Iterable[Path]) -> Sorted:
    """Return the fallback files in folders by whose they are."""
    found = Sorted()
    for path in files(folders):
        header = read_header(path)
        if header is None:
            found.unreadable.append(path)
        elif home.owns(header):
            found.own.append((header, path))
        else:
            found.others.setdefault(_place(home, header), []).append(path)
    return found


def home(connection: Connection, folder: Path) -> Home:
    """Return an open journal's home.

    Args:
        connection: To its database.
        folder: Where it is, or what it is a copy of.
    """
    return _home(lambda query: connection.exec_driver_sql(query).all(), folder)


def home_at(folder: Path) -> Home:
    """Return the home of a journal that may not be there, be damaged, or be of an earlier version."""
    try:
        with closing(_open(folder)) as connection:
            return _home(lambda query: connection.execute(query).fetchall(), folder)
    except sqlite3.Error:
        return Home(folder)


def is_of_this_machine(header: Header) -> bool:
    """Return whether a file was written on this machine, as far as its names tell."""
    return _is_of_this_boot(header) or header.host == host_name()


def _home(ask: Ask, folder: Path) -> Home:
    names = [row[0] for row in ask(_NAME)]
    known = frozenset(row[0] for row in ask("SELECT uuid FROM sessions UNION SELECT id FROM runs"))
    return Home(folder, names[0] if names else None, known)


def _place(home: Home, header: Header) -> str:
    """Return where a file's journal is: its folder, after the machine's name where it is another one's."""
    is_near = is_of_this_machine(header) and not home.is_at(header)
    return header.journal if is_near else f"{header.host}:{header.journal}"


def _is_of_this_boot(header: Header) -> bool:
    here, there = boot_id().partition(" ")[0], header.boot_id.partition(" ")[0]
    return bool(here) and here == there


def _has_name(folder: Path, uuid: str) -> bool:
    """Return whether the journal in a folder has this name; one that cannot be read may have it."""
    if not (folder / "journal.db").exists():
        return False
    try:
        with closing(_open(folder)) as connection:
            return (uuid,) in connection.execute(_NAME).fetchall()
    except sqlite3.Error:
        return True


def _open(folder: Path) -> sqlite3.Connection:
    """Open a database to read its name; not an empty one, whose log is all that is left of it.

    Raises:
        sqlite3.Error: It is not there, or cannot be read.
    """
    try:
        if not (folder / "journal.db").stat().st_size:
            raise sqlite3.OperationalError("it is empty")
    except OSError as error:
        raise sqlite3.OperationalError(str(error)) from error
    return sqlite3.connect(f"{(folder / 'journal.db').absolute().as_uri()}?mode=ro", uri=True)
