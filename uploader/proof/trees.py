"""The tree of a session, as it grows with the session's events."""

from __future__ import annotations

from uploader.proof import merkle
from uploader.proof.heads import Head, SessionHead
from uploader.proof.leaves import Leaf, payload_digest


class SessionTree:
    """The tree over the first events of a session, up to the first number that is missing.

    Attributes:
        run: Uuid of the run.
        session: Uuid of the session.
        generation: The session's.
        hashes: The leaf hashes.
    """

    def __init__(self, run: str, session: str, generation: int) -> None:
        """Begin without events."""
        self.run = run
        self.session = session
        self.generation = generation
        self.hashes: list[bytes] = []

    @property
    def size(self) -> int:
        """How many events it has."""
        return len(self.hashes)

    def add(self, seq: int, kind: str, key: str, payload: bytes, blob: str | None) -> str | None:
        """Add the next event and return its entry; None, and nothing added, where a number before it is missing."""
        if seq != self.size + 1:
            return None
        entry = Leaf(self.session, seq, kind, key, payload_digest(payload), blob).entry()
        self.hashes.append(merkle.leaf_hash(entry.encode()))
        return entry

    def cut(self, size: int) -> None:
        """Leave out what comes after its first events, so many."""
        del self.hashes[size:]

    def head(self, size: int | None = None) -> SessionHead:
        """Return its head, or what its head was when it had fewer events."""
        leaves = self.hashes if size is None else self.hashes[:size]
        return SessionHead(self.run, self.session, self.generation, Head(len(leaves), merkle.root(leaves)))

    def had(self, head: Head) -> bool:
        """Return whether it has grown out of this head."""
        return 0 < head.size <= self.size and self.head(head.size).head == head
