"""The journal that a dashboard looks at: how it is read, and what tells that it may have been written to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Protocol

from journal.errors import BlobMissing
from journal.folder import Journal
from journal.opening import open_shared
from journal.read_only import reading
from journal.reading.visible import visible
from journal.records import Content
from journal.shared_addresses import shared_url
from uploader.dashboard.run_source import UnknownRun

REST_SECONDS = 1.0
"""How often a shared journal is looked at, at most: others work on its server."""
_COST = 9
"""A look at one takes a part in ten of the time, at most."""
_RECENT = 2.0
"""Seconds in which a file's time may not tell yet that it was written again."""
_FILES = ("journal.db", "journal.db-wal")
_BLOCK = 1 << 20
_NO_BYTES = "the journal does not have the bytes of this checkpoint"

FileStamp = tuple[int, int] | None
Stamp = str | tuple[FileStamp, ...]


class ViewedJournal(Protocol):
    """A journal that is read over and over, by several threads.

    Attributes:
        path: Its folder, or what stands for its URL.
    """

    path: Path

    def reading(self) -> AbstractContextManager[Journal]:
        """Provide it for a few short transactions of one thread."""

    def stamp(self) -> Stamp:
        """Return what is another one when it was written to."""

    def may_change_unseen(self, stamp: Stamp, looked_at: float) -> bool:
        """Return whether it may have been written to after a look without another stamp."""

    def rest(self, took: float) -> float:
        """Return the seconds between two looks, at least.

        Args:
            took: How long the last one took.
        """

    def has_bytes(self, sha256: str) -> bool:
        """Return whether a checkpoint's bytes may be had, as far as that is known at once."""

    def bytes_of(self, sha256: str) -> tuple[int, Iterator[bytes]]:
        """Return the size and the parts of a checkpoint.

        Raises:
            UnknownRun: They are not there.
            JournalError: They cannot be read now.
        """

    def close(self) -> None:
        """Look no more."""


def viewed_journal(path: Path) -> ViewedJournal:
    """Return a journal to be looked at; it is opened when it is first read.

    Args:
        path: Its folder, absolute, or what stands for its URL.
    """
    return _InDatabase(path) if shared_url(path) else _InFolder(path)


class _InFolder:
    """One in a folder, which is opened for each look: it may be moved, or replaced."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def reading(self) -> Iterator[Journal]:
        with reading(self.path) as opened, opened.on_one_connection() as kept:
            yield kept

    def stamp(self) -> Stamp:
        return tuple(_file_stamp(self.path / name) for name in _FILES)

    def may_change_unseen(self, stamp: Stamp, looked_at: float) -> bool:
        newest = max((each[0] for each in stamp if isinstance(each, tuple)), default=0) / 1e9
        return looked_at - newest < _RECENT

    def rest(self, took: float) -> float:
        del took
        return 0.0

    def has_bytes(self, sha256: str) -> bool:
        return self._blob(sha256).is_file()

    def bytes_of(self, sha256: str) -> tuple[int, Iterator[bytes]]:
        file = self._blob(sha256)
        if not file.is_file():
            raise UnknownRun(_NO_BYTES)
        return file.stat().st_size, _parts(file)

    def close(self) -> None:
        pass

    def _blob(self, sha256: str) -> Path:
        return self.path / "blobs" / sha256


class _InDatabase:
    """A shared one, of which connections are kept open, as to make one takes longer than most looks."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._opened: Journal | None = None

    @contextmanager
    def reading(self) -> Iterator[Journal]:
        with self._journal().on_one_connection() as opened:
            yield opened

    def stamp(self) -> Stamp:
        with self._journal().begin(read_only=True) as connection:
            return visible(connection)

    def may_change_unseen(self, stamp: Stamp, looked_at: float) -> bool:
        del stamp, looked_at
        return False

    def rest(self, took: float) -> float:
        return max(REST_SECONDS, _COST * took)

    def has_bytes(self, sha256: str) -> bool:
        del sha256
        return True  # as its rows say; their place is not asked for each of them

    def bytes_of(self, sha256: str) -> tuple[int, Iterator[bytes]]:
        blobs = self._journal().shared_blobs
        assert blobs is not None
        try:
            size, content = blobs.size(sha256), blobs.find(sha256)
        except BlobMissing as error:
            raise UnknownRun(_NO_BYTES) from error
        return size or 0, _parts(content)

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()

    def _journal(self) -> Journal:
        with self._lock:
            if self._opened is None:
                self._opened = open_shared(shared_url(self.path) or "", make=False)
            return self._opened


def _file_stamp(file: Path) -> FileStamp:
    try:
        found = file.stat()
    except OSError:
        return None
    # Whoever only reads a journal that nobody writes makes an empty log, which goes with the last of them.
    return (found.st_mtime_ns, found.st_size) if found.st_size else None


def _parts(content: Content) -> Iterator[bytes]:
    with closing(content.open("rb")) as file:
        while block := file.read(_BLOCK):
            yield block
