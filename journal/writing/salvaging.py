"""Takes in checkpoints that dead sessions saved and left on the disk."""

from __future__ import annotations

import logging

from journal.checkpoints.blobs import BlobStore
from journal.checkpoints.salvage import LostSnapshot
from journal.errors import BlobError, JournalUnavailable
from journal.writing.writer import Writer

_LOG = logging.getLogger(__name__)


def take_in(writer: Writer, blobs: BlobStore, lost: LostSnapshot) -> bool:
    """Take one file in; what cannot be had now is left to the next drain, and stops none."""
    try:
        snapshot = blobs.snapshot(lost.path, lost.stamp)
        try:
            writer.add_salvaged(lost, snapshot)
        finally:
            blobs.discard(snapshot)
    except (BlobError, JournalUnavailable) as error:
        _LOG.warning("The checkpoint %s was not taken in: %s", lost.path, error)
        return False
    return True
