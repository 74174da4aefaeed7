"""Telling a platform the heads of a run as its journal has them, and keeping what it has countersigned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from journal.folder import Journal
from journal.outbox.head_notes import note_signed, store_heads
from journal.reading.recorded_events import announced_keys
from uploader.platforms.base import GrownHead, KeepingHeads, KeptHeads, RunIdentity
from uploader.proof import merkle
from uploader.proof.heads import parse_checkpoint, run_head
from uploader.proof.signed_notes import Note
from uploader.proof.signers import Signers
from uploader.proof.trees import SessionTree
from uploader.proving.run_trees import run_trees


def tell_heads(
    journal: Journal, destination: int, platform: KeepingHeads, identity: RunIdentity, signers: Signers
) -> KeptHeads:
    """Tell a platform the heads of a run.

    Args:
        journal: The journal, which keeps what is countersigned.
        destination: The platform's local id.
        platform: The platform.
        identity: The run, which it knows.
        signers: Who signs.

    Returns:
        What became of them.

    Raises:
        DeliveryError: The platform could not be asked now.
        JournalError: The journal cannot be used.
    """
    with journal.begin(read_only=True) as connection:
        announced = announced_keys(connection, identity.run_uuid)
    trees = [one.tree for one in run_trees(journal.begin, identity.run_uuid) if one.tree.size]
    if not trees:
        return KeptHeads()
    journal.flush()  # nothing leaves the machine before it would survive a power cut
    key = str(signers.key) if signers.key else None
    head = signers.run(run_head(identity.run_uuid, key, [tree.head() for tree in trees]))
    sessions = [_grown(tree, signers) for tree in trees if _may_sign(tree, signers, announced)]
    kept = platform.keep_heads(identity, str(head), sessions)
    of = {"events": sum(tree.size for tree in trees), "countersigned": _countersigned(trees, kept)}
    with journal.begin() as connection:
        if kept.witness:
            value = {"witness": kept.witness, "countersigned": list(kept.countersigned)}
            store_heads(connection, identity.run_uuid, destination, value)
        if key and (kept.is_kept or of["countersigned"]):
            note_signed(connection, identity.run_uuid, destination, key=key, witness=kept.witness, **of)
    return kept


def _countersigned(trees: Sequence[SessionTree], kept: KeptHeads) -> int:
    """Return how many events of these trees are in what was countersigned, other events under the same names not."""
    heads = [parse_checkpoint(Note.parse(each).text) for each in kept.countersigned]
    return sum(
        max((head.size for _, session, head in heads if session == tree.session and tree.had(head)), default=0)
        for tree in trees
    )


def _may_sign(tree: SessionTree, signers: Signers, announced: Mapping[str, str]) -> bool:
    """Return whether a witness takes these signatures for a session's head: whoever drains it may not have trained it.

    A session that announced no key, as one that salvaged something, goes with the others of its run.
    """
    keys = {announced[tree.session]} if tree.session in announced else {*announced.values()}
    return bool(signers.keys) and (not keys or not keys.isdisjoint(map(str, signers.keys)))


def _grown(tree: SessionTree, signers: Signers) -> GrownHead:
    head = tree.head()
    growth = partial(merkle.consistency, tree.hashes)
    return GrownHead(head.origin, str(signers.session(head)), tree.size, growth)
