"""How far the events of a node's journal were brought into a shared one, noted there along with them.

The note is written in their transaction, so it is lost and restored with them. A number alone is not believed: a
journal that is back from a snapshot may have other events under the same numbers. So a note has a digest, too, of all
events up to its number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import Connection, text

from journal.folder import Journal
from journal.sessions.identity import Entry, place_of

_READ = text("SELECT session, last, digest FROM collected WHERE place = :place")
_WRITE = text(
    """
    INSERT INTO collected (session, place, last, digest) VALUES (:session, :place, :last, :digest)
    ON CONFLICT (session, place) DO UPDATE SET last = excluded.last, digest = excluded.digest
    """
)


class Note(NamedTuple):
    """How far a session was brought.

    Attributes:
        last: The number of its last event; 0 for none.
        digest: Of all its events up to that.
    """

    last: int
    digest: str


class Reached:
    """How far a session was read: the number of its last event, and the digest of all up to it."""

    def __init__(self) -> None:
        """Begin before the first."""
        self.last = 0
        self._digest = hashlib.sha256()

    def add(self, entries: Iterable[Entry]) -> None:
        """Go on by events, in the order of their numbers; when one was made counts for nothing."""
        for kind, key, payload, _, seq in entries:
            said = "\0".join((str(seq), kind, key, payload, ""))
            self._digest.update(said.encode("utf-8", "surrogatepass"))
            self.last = seq

    def note(self) -> Note:
        """Return what is noted of it."""
        return Note(self.last, self._digest.hexdigest())

    def copy(self) -> Reached:
        """Return another one that is as far."""
        other = Reached()
        other.last, other._digest = self.last, self._digest.copy()
        return other


def place(journal: Journal) -> str:
    """Return what a journal is called in notes: a copy of it has notes of its own."""
    return hashlib.sha256(f"{journal.uuid} {place_of(journal.database)}".encode()).hexdigest()[:32]


def read(connection: Connection, place: str) -> dict[str, Note]:
    """Return the notes about the sessions of a node's journal, by their uuids."""
    return {session: Note(*rest) for session, *rest in connection.execute(_READ, {"place": place})}


def write(connection: Connection, session: str, place: str, note: Note) -> None:
    """Note how far a session is brought."""
    connection.execute(_WRITE, {"session": session, "place": place, **note._asdict()})
