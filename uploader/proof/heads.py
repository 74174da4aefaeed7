"""Heads: what a session's tree is at a size, as a checkpoint, and what all trees of a run are, as one note.

A session's head is a checkpoint of https://c2sp.org/tlog-checkpoint, whose origin names run and session, so any
verifier of such can check it. A run's head lists the heads of its sessions: its sessions grow one by one, and a tree
over all of them would differ between copies that got late events in another order.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass

from uploader.proof.leaves import IDENTITY
from uploader.proof.merkle import HASH_BYTES
from uploader.proof.signed_notes import NotANote

PROGRAM = "offline-uploader"
"""The name of a key that is no run's in particular, and how names of runs and sessions begin."""

_FORMAT = f"{PROGRAM} run head v1"
_ORIGIN = re.compile(rf"{PROGRAM}/({IDENTITY})/({IDENTITY})")
_SIZE = re.compile(r"0|[1-9][0-9]{0,15}")
_SESSION = re.compile(rf"session ({IDENTITY}) generation ([0-9]{{1,9}}) size ([1-9][0-9]{{0,15}}) root (\S+)")


@dataclass(frozen=True)
class Head:
    """What a tree is at a size.

    Attributes:
        size: How many events it has.
        root: Its hash.
    """

    size: int
    root: bytes


@dataclass(frozen=True)
class SessionHead:
    """The head of one session.

    Attributes:
        run: Uuid of the run.
        session: Uuid of the session.
        generation: The session's place among those of its run.
        head: Of its tree.
    """

    run: str
    session: str
    generation: int
    head: Head

    @property
    def origin(self) -> str:
        """The name of the tree, and of the keys that sign its heads."""
        return origin(self.run, self.session)

    def checkpoint(self) -> str:
        """Return the text of the note that is signed."""
        return f"{self.origin}\n{self.head.size}\n{_encoded(self.head.root)}\n"


@dataclass(frozen=True)
class RunHead:
    """The heads of a run's sessions.

    Attributes:
        run: Uuid of the run.
        key: The verifier key of the one who signs, so that a former key that signs as well announces it; or None.
        sessions: In the order of their generations.
    """

    run: str
    key: str | None
    sessions: tuple[SessionHead, ...]

    @property
    def name(self) -> str:
        """The name of the keys that sign it."""
        return f"{PROGRAM}/{self.run}"

    def text(self) -> str:
        """Return the text of the note that is signed."""
        lines = [_FORMAT, f"run {self.run}", *([f"key {self.key}"] if self.key else [])]
        for each in self.sessions:
            head = f"size {each.head.size} root {_encoded(each.head.root)}"
            lines.append(f"session {each.session} generation {each.generation} {head}")
        return "".join(f"{line}\n" for line in lines)

    @classmethod
    def parse(cls, text: str) -> RunHead:
        """Return the head that a note's text is.

        Raises:
            NotANote: It is none.
        """
        first, *lines = text.removesuffix("\n").split("\n")
        run = lines[0].removeprefix("run ") if lines else ""
        if first != _FORMAT or not re.fullmatch(IDENTITY, run):
            raise NotANote("it is no head of a run")
        key = lines[1].removeprefix("key ") if len(lines) > 1 and lines[1].startswith("key ") else None
        rest = lines[1 + (key is not None) :]
        found = cls(run, key, tuple(_session(run, line) for line in rest))
        if found.text() != text:
            raise NotANote("it is no head of a run as this version writes them")
        return found


def run_head(run: str, key: str | None, sessions: Iterable[SessionHead]) -> RunHead:
    """Return the head of a run; the same sessions make the same one, in whichever order they come."""
    return RunHead(run, key, tuple(sorted(sessions, key=lambda each: (each.generation, each.session))))


def origin(run: str, session: str) -> str:
    """Return the name of a session's tree."""
    return f"{PROGRAM}/{run}/{session}"


def parse_checkpoint(text: str) -> tuple[str, str, Head]:
    """Return the run, the session and the head that a checkpoint of ours tells.

    Raises:
        NotANote: It is none.
    """
    lines = text.removesuffix("\n").split("\n")
    named = _ORIGIN.fullmatch(lines[0])
    if named is None or len(lines) != 3 or not _SIZE.fullmatch(lines[1]):
        raise NotANote("it is no checkpoint of a session")
    return named[1], named[2], Head(int(lines[1]), _root(lines[2]))


def _session(run: str, line: str) -> SessionHead:
    found = _SESSION.fullmatch(line)
    if found is None:
        raise NotANote("one of its lines names no session")
    return SessionHead(run, found[1], int(found[2]), Head(int(found[3]), _root(found[4])))


def _root(text: str) -> bytes:
    try:
        content = base64.b64decode(text.encode(), validate=True)
    except ValueError:
        content = b""
    if len(content) != HASH_BYTES or _encoded(content) != text:
        raise NotANote("it has a root that is no hash")
    return content


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()
