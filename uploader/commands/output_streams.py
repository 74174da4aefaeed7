"""What a command prints must not decide what becomes of its work.

The reader of a pipe may go away (`status | head -1`), a disk may be full (`> /dev/full`), a terminal may not know a
character (`LANG=C`, Windows-1252), and there may be no output at all (`>&-`). None of it fails a command.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO, cast

_STANDARD = range(3)


class TolerantStream:
    """A text stream that takes whatever is written to it, and says once when that goes nowhere.

    It has no `buffer`: click would write past this object where the stream is ASCII.
    """

    def __init__(self, stream: TextIO, beside: TextIO | None) -> None:
        """Stand in front of a stream.

        Args:
            stream: The stream.
            beside: Where to say that nothing can be written; None for nowhere.
        """
        self._stream = stream
        self._beside = beside
        self._is_broken = False

    def __getattr__(self, name: str) -> Any:
        """Return what the stream has."""
        if name == "buffer":
            raise AttributeError(name)
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write, or drop the text."""
        self._attempt(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Write what was held back, or drop it."""
        self._attempt(self._stream.flush)

    def _attempt(self, write: Any) -> None:
        if self._is_broken:
            return
        try:
            write()
        except (OSError, ValueError) as error:  # a ValueError: somebody has closed it
            self._is_broken = True
            _discard(self._stream)
            if getattr(error, "errno", None) != errno.EPIPE and self._beside is not None:
                why = getattr(error, "strerror", None) or error
                self._beside.write(f"uploader: what this command prints cannot be written ({why}); it goes on\n")


@contextmanager
def tolerant_streams() -> Iterator[None]:
    """Have standard output and error take everything inside, whatever becomes of it."""
    _occupy()
    usual = sys.stdout, sys.stderr
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        out, error = (stream or nowhere for stream in usual)
        for stream in (out, error):
            _accept_all_text(stream)
        sys.stderr = cast("TextIO", TolerantStream(error, None))
        sys.stdout = cast("TextIO", TolerantStream(out, sys.stderr))
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            sys.stdout, sys.stderr = usual


def _occupy() -> None:
    """Fill the standard descriptors that are closed: a file of ours that got their number would be printed into."""
    for number in _STANDARD:
        try:
            os.fstat(number)
        except OSError:
            with suppress(OSError):
                os.open(os.devnull, os.O_RDWR)  # the system gives the lowest number that is free


def _accept_all_text(stream: object) -> None:
    """Write out what the stream's encoding has no character for."""
    if isinstance(stream, io.TextIOWrapper):
        with suppress(OSError, ValueError):
            stream.reconfigure(errors="backslashreplace")


def _discard(stream: TextIO) -> None:
    """Let what the stream still holds go nowhere: Python writes it when it ends, and would fail then."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, stream.fileno())
        finally:
            os.close(nowhere)
