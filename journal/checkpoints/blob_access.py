"""What those need who send, hand over or delete checkpoints' bytes, wherever a journal keeps them."""

from __future__ import annotations

from typing import Protocol

from journal.records import Content


class Blobs(Protocol):
    """The checkpoints' bytes of one journal, by their sha256: in its folder, or where a shared journal keeps them.

    Threads may share it. Each method raises `BlobsUnavailable` where the store cannot be used now.
    """

    def find(self, sha256: str) -> Content:
        """Return a blob, to be opened for reading.

        Raises:
            BlobMissing: It is not there.
        """

    def cure(self, save_dir: str, retry: str) -> str:
        """Say what brings back bytes that are missing.

        Args:
            save_dir: The folder of the run on the machine that trained.
            retry: The command, without the program's name, that has them sent once they are there.
        """

    def names(self) -> list[str]:
        """Return the sha256 of each blob that is there, in order."""

    def remove(self, sha256: str) -> None:
        """Remove a blob, if it is there."""

    def clear(self) -> None:
        """Free the space of removed blobs, as far as that can be done now."""

    def sweep(self, now: float) -> None:
        """Delete what killed processes left; `now` is in epoch seconds."""
