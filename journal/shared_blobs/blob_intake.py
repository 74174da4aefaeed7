"""Files of this machine into a shared journal: the bytes where it keeps them, and the rows that say so."""

from __future__ import annotations

from collections.abc import Sequence

from journal.checkpoints import retaking
from journal.checkpoints.blobs import Snapshot
from journal.errors import BlobsUnavailable
from journal.shared_blobs.shared_store import SharedBlobs
from journal.storage.backend import Begin


def take_in(begin: Begin, blobs: SharedBlobs, snapshots: Sequence[Snapshot]) -> None:
    """Keep the bytes of files, which stay; a copy that is there is looked at, and not sent again.

    Args:
        begin: Begins a transaction of the journal.
        blobs: The journal's.
        snapshots: The files.

    Raises:
        BlobsUnavailable: The store cannot be used now, or has lost what it had. What is there by then stays.
        SourceChanged: A file is not what it says.
    """
    for one in snapshots:
        with one.path.open("rb") as file:
            blobs.put(file, one.sha256, one.size)
    with begin() as connection:
        for one in snapshots:
            if blobs.size(one.sha256) != one.size:  # removed by a prune, which does so in a transaction that is alone
                raise BlobsUnavailable(f"checkpoint {one.sha256[:12]}… was removed from {blobs.address} meanwhile")
            retaking.note_present(connection, one)
