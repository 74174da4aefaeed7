"""The signed heads of a run: signed here, by the keys of this machine, or as the machine that trained it has done."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from journal.folder import Journal
from journal.outbox import brought_heads
from journal.outbox.head_notes import is_first
from journal.reading.recorded_events import announced_keys
from uploader.errors import SettingsError
from uploader.platforms.base import GrownHead
from uploader.proof import merkle
from uploader.proof.ed25519 import ADVICE
from uploader.proof.heads import Head, RunHead, parse_checkpoint, run_head
from uploader.proof.signed_notes import NotANote, Note
from uploader.proof.signers import UNSIGNED, Signers
from uploader.proof.trees import SessionTree
from uploader.proving.key_files import signers
from uploader.proving.run_trees import run_trees

_LOG = logging.getLogger("uploader")


@dataclass(frozen=True)
class SignedHeads:
    """The heads of one run.

    Attributes:
        run: The run's head, a note.
        key: The verifier key of who has signed it; None if nobody has.
        events: How many events it is of.
        sessions: The heads of those of its sessions that a witness may take.
        trees: What has grown out of them.
    """

    run: str
    key: str | None
    events: int
    sessions: Sequence[GrownHead]
    trees: Sequence[SessionTree]


def signers_here(journal: Journal) -> Signers:
    """Return who signs for a journal in a folder; say once why nobody does."""
    try:
        found = signers(journal.path)
        why = "" if found.key else f"the extra is not installed: {ADVICE}"
    except SettingsError as error:
        found, why = UNSIGNED, str(error)
    if why:
        with journal.begin() as connection:
            is_new = is_first(connection, "unsigned")
        if is_new:
            _LOG.warning("Heads of runs are unsigned, so `prove` proves little (%s)", why)
    return found


def sign_heads(
    journal: Journal, run: str, signers: Signers, through: Mapping[str, int] | None = None
) -> SignedHeads | None:
    """Return the heads of a run as its journal has it, signed here; None where it has no events.

    Args:
        journal: The journal.
        run: Uuid of the run.
        signers: Who signs.
        through: The number of the last event of each session that they are to be of, by its uuid; None for all.

    Raises:
        JournalError: The journal cannot be used.
    """
    with journal.begin(read_only=True) as connection:
        announced = announced_keys(connection, run)
    trees = [one.tree for one in run_trees(journal.begin, run)]
    if through is not None:
        for tree in trees:
            tree.cut(through.get(tree.session, 0))
    trees = [tree for tree in trees if tree.size]
    if not trees:
        return None
    journal.flush()  # nothing leaves the machine before it would survive a power cut
    key = str(signers.key) if signers.key else None
    note = signers.run(run_head(run, key, [tree.head() for tree in trees]))
    sessions = [_signed(tree, signers) for tree in trees if _may_sign(tree, signers, announced)]
    return SignedHeads(str(note), key, sum(tree.size for tree in trees), sessions, trees)


def heads_brought(journal: Journal, run: str) -> SignedHeads | None:
    """Return the heads of a run as a node has signed them; None where no such were brought that hold here.

    Args:
        journal: A shared journal.
        run: Uuid of the run.

    Raises:
        JournalError: The journal cannot be used.
    """
    with journal.begin(read_only=True) as connection:
        brought = brought_heads.brought_heads(connection, [run]).get(run)
    if brought is None:
        return None
    trees = {one.tree.session: one.tree for one in run_trees(journal.begin, run)}
    try:
        head = RunHead.parse(Note.parse(brought["run"]).text)
        sessions = [_grown(note, trees) for note in brought["sessions"].values()]
    except (AttributeError, KeyError, TypeError, NotANote):
        return None
    if head.run != run or not all(_holds(each.session, each.head, trees) for each in head.sessions):
        return None
    events = sum(each.head.size for each in head.sessions)
    return SignedHeads(brought["run"], head.key, events, [one for one in sessions if one], [*trees.values()])


def merged(known: Mapping[str, Any] | None, new: SignedHeads) -> dict[str, Any]:
    """Return what is kept of a run's heads when some are brought: of each tree the largest, and by whom of how much.

    Two nodes may have parts of a run, and each signs what it has trained. Pure.
    """
    if known is None:
        known = {"run": "", "sessions": {}, "events": {}}
    sessions = {**known["sessions"]}
    for one in new.sessions:
        if one.origin not in sessions or one.size > _head_of(sessions[one.origin])[1].size:
            sessions[one.origin] = one.checkpoint
    is_newest = new.events >= max(known["events"].values(), default=0)
    events = {**known["events"], str(new.key): new.events}
    return {"run": new.run if is_newest else known["run"], "sessions": sessions, "events": events}


def _may_sign(tree: SessionTree, signers: Signers, announced: Mapping[str, str]) -> bool:
    """Return whether a witness takes these signatures for a session's head: whoever drains it may not have trained it.

    A session that announced no key, as one that salvaged something, goes with the others of its run.
    """
    keys = {announced[tree.session]} if tree.session in announced else {*announced.values()}
    return bool(signers.keys) and (not keys or not keys.isdisjoint(map(str, signers.keys)))


def _signed(tree: SessionTree, signers: Signers) -> GrownHead:
    head = tree.head()
    return GrownHead(head.origin, str(signers.session(head)), tree.size, partial(merkle.consistency, tree.hashes))


def _grown(note: str, trees: Mapping[str, SessionTree]) -> GrownHead | None:
    """Return a session's head as it was signed, and how its tree has grown to it; None where it does not hold here."""
    session, head = _head_of(note)
    if not _holds(session, head, trees):
        return None
    tree = trees[session]
    growth = partial(merkle.consistency, tree.hashes[: head.size])
    return GrownHead(tree.head().origin, note, head.size, growth)


def _holds(session: str, head: Head, trees: Mapping[str, SessionTree]) -> bool:
    return session in trees and trees[session].had(head)


def _head_of(note: str) -> tuple[str, Head]:
    _, session, head = parse_checkpoint(Note.parse(note).text)
    return session, head
