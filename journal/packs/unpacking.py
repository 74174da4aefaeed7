"""Takes what a pack or another journal has into a journal, while trainings write to it and drains deliver from it."""

from __future__ import annotations

from collections.abc import Callable

from journal.folder import Journal
from journal.mirror.layout import BLOBS, parse_blob
from journal.mirror.restoring import Restored, restore, restore_checkpoints
from journal.mirror.stores import Source


def take_in(journal: Journal, source: Source, between: Callable[[], object] = lambda: None) -> Restored:
    """Take runs, their checkpoints and their results in; what the journal has already stays.

    The checkpoints come first: a drain that plans the upload of one finds its bytes.

    Args:
        journal: It may be new, or have a part or all of it.
        source: What comes in.
        between: Called after each object.

    Raises:
        JournalError: The journal cannot be written. What came in stays, and the next time does the rest.
    """
    first = Restored()
    offered = {sha256 for one in source.list(BLOBS) if (sha256 := parse_blob(one.name))}
    restore_checkpoints(journal, source, sorted(offered.difference(journal.blobs.names())), first, between)
    restored = restore(journal, source, between=between)
    restored.checkpoints += first.checkpoints
    restored.bytes += first.bytes
    restored.damaged += first.damaged
    restored.gaps = []  # it has all that its journal had
    return restored
