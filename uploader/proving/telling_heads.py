"""Telling a platform the signed heads of a run, and keeping what it has countersigned."""

from __future__ import annotations

from collections.abc import Sequence

from journal.folder import Journal
from journal.outbox.head_notes import note_signed, store_heads
from uploader.platforms.base import KeepingHeads, KeptHeads, RunIdentity
from uploader.proof.heads import parse_checkpoint
from uploader.proof.signed_notes import Note
from uploader.proof.trees import SessionTree
from uploader.proving.signing_heads import SignedHeads


def tell_heads(
    journal: Journal, destination: int, platform: KeepingHeads, identity: RunIdentity, heads: SignedHeads
) -> KeptHeads:
    """Tell a platform the heads of a run.

    Args:
        journal: The journal, which keeps what is countersigned.
        destination: The platform's local id.
        platform: The platform.
        identity: The run, which it knows.
        heads: The run's.

    Returns:
        What became of them.

    Raises:
        DeliveryError: The platform could not be asked now.
        JournalError: The journal cannot be used.
    """
    kept = platform.keep_heads(identity, heads.run, heads.sessions)
    of = {"events": heads.events, "countersigned": _countersigned(heads.trees, kept)}
    with journal.begin(concurrent=True) as connection:
        if kept.witness:
            value = {"witness": kept.witness, "countersigned": list(kept.countersigned)}
            store_heads(connection, identity.run_uuid, destination, value)
        if heads.key and (kept.is_kept or of["countersigned"]):
            note_signed(connection, identity.run_uuid, destination, key=heads.key, witness=kept.witness, **of)
    return kept


def _countersigned(trees: Sequence[SessionTree], kept: KeptHeads) -> int:
    """Return how many events of these trees are in what was countersigned, other events under the same names not."""
    heads = [parse_checkpoint(Note.parse(each).text) for each in kept.countersigned]
    return sum(
        max((head.size for _, session, head in heads if session == tree.session and tree.had(head)), default=0)
        for tree in trees
    )
