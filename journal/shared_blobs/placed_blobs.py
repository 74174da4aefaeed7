"""The checkpoints of a shared journal, wherever it keeps them by the time that they are asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable

from journal.errors import BlobsRefused, BlobsUnavailable, JournalError
from journal.records import Content, OpenedContent
from journal.shared_blobs.blob_places import checked_place, decide, open_place, place_of
from journal.shared_blobs.shared_store import SharedBlobs, collected_again
from journal.storage.backend import Backend


class PlacedBlobs:
    """What keeps the checkpoints, opened when it is first needed; see `SharedBlobs`. Threads may share it."""

    def __init__(self, backend: Backend, uuid: str | None) -> None:
        """Read and open nothing yet.

        Args:
            backend: The journal's; it is asked over a connection of its own.
            uuid: The journal's.
        """
        self._backend, self._uuid = backend, uuid
        self._lock = threading.Lock()
        self._opened: SharedBlobs | None = None

    def decide(self, place: str) -> str:
        """Decide where the journal keeps its checkpoints, once; return where that is.

        Args:
            place: `s3://bucket/folder`, or a folder that all machines mount.

        Raises:
            ValueError: It cannot be such a place, or another one was decided on.
            BlobsUnavailable: It cannot be used now, or has those of another journal. Nothing was decided.
            JournalError: The database is away.
        """
        wanted = checked_place(place)
        decided = self._read_place()
        if decided is None:
            open_place(wanted, self._uuid).claim()
            with self._backend.connect() as connection, self._backend.begins_on(connection)() as writing:
                decided = decide(writing, wanted)
        if decided != wanted:
            raise ValueError(
                f"{self._backend.address} keeps its checkpoints in {decided}, which is decided once; leave {wanted} out"
            )
        return decided

    @property
    def address(self) -> str:
        """Where they are, as people name it."""
        return self._store().address

    def find(self, sha256: str) -> Content:
        """Return a blob, to be opened for reading."""
        return self._store().find(sha256)

    def cure(self, save_dir: str, retry: str) -> str:
        """Say what brings back bytes that are missing."""
        return collected_again(save_dir, retry)

    def size(self, sha256: str) -> int | None:
        """Return the size of a blob; None if it is not there."""
        return self._store().size(sha256)

    def is_whole(self, sha256: str, size: int) -> bool:
        """Return whether a blob of this size is there, with the bytes that it is named for."""
        return self._store().is_whole(sha256, size)

    def put(self, file: OpenedContent, sha256: str, size: int, between: Callable[[], object] = lambda: None) -> None:
        """Keep a file's bytes; see `SharedBlobs`."""
        self._store().put(file, sha256, size, between)

    def names(self) -> list[str]:
        """Return the sha256 of each blob that is there, in order; none as long as no place is decided."""
        return self._store().names() if self._is_placed() else []

    def remove(self, sha256: str) -> None:
        """Remove a blob, if it is there."""
        self._store().remove(sha256)

    def clear(self) -> None:
        """Free the space of removed blobs."""
        if self._is_placed():
            self._store().clear()

    def sweep(self, now: float) -> None:
        """Delete what killed processes left."""
        if self._is_placed():
            self._store().sweep(now)

    def _is_placed(self) -> bool:
        return self._found() is not None

    def _store(self) -> SharedBlobs:
        found = self._found()
        if found is None:
            raise BlobsRefused(
                f"nobody has said where {self._backend.address} keeps its checkpoints: `collect` with `--blobs PLACE` "
                "does, which is s3://bucket/folder or a folder that all machines mount"
            )
        return found

    def _found(self) -> SharedBlobs | None:
        with self._lock:
            if self._opened is None and (place := self._read()) is not None:
                self._opened = open_place(place, self._uuid)
            return self._opened

    def _read(self) -> str | None:
        try:
            return self._read_place()
        except JournalError as error:
            raise BlobsUnavailable(f"where the checkpoints are cannot be read: {error}") from error

    def _read_place(self) -> str | None:
        with self._backend.connect() as connection, self._backend.begins_on(connection)(read_only=True) as reading:
            return place_of(reading)
