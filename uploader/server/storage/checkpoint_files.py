"""Checkpoint files on disk, each named by the sha256 of its content."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_BLOCK = 1024 * 1024  # bytes


class IncomingFile:
    """A file being received: written under a temporary name and hashed along the way."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> None:
        """Append bytes."""
        self._stream.write(data)
        self._hash.update(data)
        self.size += len(data)

    @property
    def sha256(self) -> str:
        """Hex digest of the bytes written so far."""
        return self._hash.hexdigest()


class Files:
    """A folder of immutable files.

    Args:
        root: The folder; created if it does not exist.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def path(self, sha256: str) -> Path:
        """Return the path of the file with this digest, whether or not it exists."""
        return self._root / sha256[:2] / sha256

    def is_whole(self, sha256: str) -> bool:
        """Tell whether the file with this digest is there, and still has it. That takes as long as reading it."""
        whole = hashlib.sha256()
        try:
            with self.path(sha256).open("rb") as stream:
                while block := stream.read(_BLOCK):
                    whole.update(block)
        except OSError:
            return False
        return whole.hexdigest() == sha256

    def has(self, sha256: str, size: int) -> bool:
        """Tell whether the file with this digest is there, with this size."""
        try:
            return self.path(sha256).stat().st_size == size
        except OSError:
            return False

    @contextmanager
    def incoming(self) -> Iterator[IncomingFile]:
        """Receive one file. It is on disk under its digest when the block ends, and discarded if the block raises."""
        part = self._root / f"{secrets.token_hex(8)}.part"
        try:
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
                incoming = IncomingFile(stream)
                yield incoming
                stream.flush()
                os.fsync(stream.fileno())
            self._keep(part, incoming.sha256)
        finally:
            part.unlink(missing_ok=True)

    def keep(self, source: Path, sha256: str) -> None:
        """Keep a copy of a file that is on disk and has this digest. The file itself stays where it is."""
        part = self._root / f"{secrets.token_hex(8)}.part"
        try:
            _link(source, part)
            self._keep(part, sha256)
        finally:
            part.unlink(missing_ok=True)

    def remove_except(self, kept: Iterable[str]) -> None:
        """Remove every file whose digest is not in `kept`, and leftovers of interrupted uploads."""
        names = set(kept)
        for path in [*self._root.glob("*.part"), *self._root.glob("??/*")]:
            if path.name not in names:
                path.unlink()

    def _keep(self, part: Path, sha256: str) -> None:
        target = self.path(sha256)
        target.parent.mkdir(mode=0o700, exist_ok=True)
        part.replace(target)
        for folder in (target.parent, self._root):
            _fsync_folder(folder)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links, such as exFAT
        shutil.copyfile(source, target)
        with target.open("rb+") as stream:
            os.fsync(stream.fileno())


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
