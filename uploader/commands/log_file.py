"""A file that a command prints to instead of its streams, of limited size."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO, cast

import click

from journal.disk import give_to_owner_of
from uploader.commands.hidden_secrets import Hide
from uploader.commands.output_streams import hiding

LIMIT = 1_000_000
"""Bytes; a file that would be longer is renamed first, so that there are twice as many at most."""


class LogFile:
    """A text stream into a file. What cannot be written is lost: a log stops no work."""

    encoding, errors = "utf-8", "backslashreplace"

    def __init__(self, path: Path, limit: int = LIMIT, *, hide: Hide = str) -> None:
        """Open the file, and print to its end.

        Args:
            path: The file; a longer one is renamed to the same name with `.1`.
            limit: In bytes.
            hide: Takes secrets out of what is printed.
        """
        self._hide = hide
        self._path = path
        self._limit = limit
        self._lock = threading.Lock()
        self._file = -1
        self._bytes = 0
        self._open()

    def write(self, text: str) -> int:
        """Write a text."""
        content = self._hide(text).encode(self.encoding, self.errors)
        with self._lock, suppress(OSError):
            if self._bytes and self._bytes + len(content) > self._limit:
                self._path.replace(f"{self._path}.1")
                self._open()
            self._bytes += os.write(self._file, content)
        return len(text)

    def flush(self) -> None:
        """Do nothing: nothing is held back."""

    def isatty(self) -> bool:
        """Return False."""
        return False

    def _open(self) -> None:
        """Open the file, also as the standard streams, for what is printed by others than Python's streams."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        before, self._file = self._file, os.open(self._path, flags, 0o600)
        if before >= 0:
            os.close(before)
        give_to_owner_of(self._path, self._path.parent)
        self._bytes = os.fstat(self._file).st_size
        for stream in (1, 2):
            os.dup2(self._file, stream)


@contextmanager
def printing_to(path: Path | None) -> Iterator[None]:
    """Print to a file while the block runs; None leaves the streams as they are.

    Raises:
        UsageError: The file cannot be written.
    """
    if path is None:
        yield
        return
    try:
        file = cast("TextIO", LogFile(path, hide=hiding()))
    except OSError as error:
        raise click.UsageError(f"--log: {path} cannot be written ({error.strerror}); name another file") from error
    usual = sys.stdout, sys.stderr
    sys.stdout = sys.stderr = file
    try:
        yield
    finally:
        sys.stdout, sys.stderr = usual
