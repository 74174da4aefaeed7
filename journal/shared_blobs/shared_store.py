"""What keeps the checkpoints' bytes of a shared journal, and the note by which it is known to be the right place."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Protocol

from journal.checkpoints.blob_access import Blobs
from journal.errors import BlobsRefused, BlobsUnavailable, SourceChanged
from journal.records import OpenedContent

_CHUNK = 1 << 20
NOTE = "uploader-blobs.json"
"""A mounted folder can go away, and a name can lead to another bucket: without its note, nothing is missing there, and
nothing is put there."""


class SharedBlobs(Blobs, Protocol):
    """The checkpoints' bytes of a shared journal; see `Blobs`.

    Attributes:
        address: Where they are, as people name it.
    """

    @property
    def address(self) -> str: ...  # noqa: D102 - above

    def size(self, sha256: str) -> int | None:
        """Return the size of a blob; None if it is not there.

        Whoever commits a row that says that bytes are there asks for this in the same transaction: a prune deletes in
        one that is alone.
        """

    def is_whole(self, sha256: str, size: int) -> bool:
        """Return whether a blob of this size is there, with the bytes that it is named for, which are read back."""

    def put(self, file: OpenedContent, sha256: str, size: int, between: Callable[[], object] = ...) -> None:
        """Keep a file's bytes, which are read back before this returns; nothing is sent if they are there.

        After a kill in the middle nothing is there, and the next call begins anew.

        Args:
            file: Open for reading, at its beginning.
            sha256: Of its content.
            size: Its size in bytes.
            between: Called now and then, as this may take long.

        Raises:
            SourceChanged: The file has other bytes; nothing is kept.
        """


class BlobPlace(SharedBlobs, Protocol):
    """A place that has been opened; see `SharedBlobs`."""

    def claim(self) -> None:
        """Make this the place of the journal's checkpoints, unless it is already.

        Raises:
            BlobsUnavailable: It is another journal's.
        """


def new_note(journal: str | None) -> bytes:
    """Return the note for the place of a journal's checkpoints; `journal` is its uuid."""
    note = {"format": 1, "what": "checkpoints of a shared journal of offline-uploader", "journal": journal}
    return json.dumps(note, indent=2).encode() + b"\n"


def require_note(found: bytes | None, journal: str | None, address: str, hint: str) -> None:
    """Check that a place is that of a journal's checkpoints.

    Args:
        found: The note that is there.
        journal: The journal's uuid.
        address: The place.
        hint: What to look for where there is none.

    Raises:
        BlobsUnavailable: It is not.
    """
    if found is None:
        raise BlobsUnavailable(f"the checkpoints cannot be found in {address}, which has no {NOTE}; {hint}")
    try:
        owner = json.loads(found)["journal"]
    except (ValueError, KeyError, TypeError):
        raise BlobsRefused(f"{NOTE} in {address} is damaged; put it back from a backup") from None
    if owner != journal:
        raise BlobsRefused(f"{address} has the checkpoints of another journal; name another folder or prefix")


def collected_again(save_dir: str, retry: str) -> str:
    """Say what brings back bytes that a shared journal misses."""
    return f"`collect` brings it from the machine with {save_dir}, if that still has it; then `{retry}`"


def checked_chunks(file: OpenedContent, sha256: str, size: int, between: Callable[[], object]) -> Iterator[bytes]:
    """Yield a file's bytes, and raise at the end if they are not those that were meant."""
    digest, left = hashlib.sha256(), size
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
        left -= len(chunk)
        yield chunk
        between()
    if left or digest.hexdigest() != sha256:
        raise SourceChanged(f"checkpoint {sha256[:12]}… has other bytes than were recorded; nothing of it was stored")
