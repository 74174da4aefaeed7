"""Output streams that never fail: a command does its work whether or not its output can be written.

The reader of a pipe may exit (`status | head -1`), a disk may be full (`> /dev/full`), a terminal may not know a
character (`LANG=C`, Windows-1252), and there may be no output at all (`>&-`). None of these stops a command. A full
disk does fail one whose output is all that it makes: whoever reads the file would take it for whole.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

from uploader.commands.hidden_secrets import HiddenSecrets, Hide

UNWRITTEN = 74
"""The exit code of a command that makes nothing but output, and lost that: EX_IOERR of <sysexits.h>, and no verdict."""
_STANDARD = range(3)


class TolerantStream:
    """A text stream whose writes never fail; it reports once that output is lost.

    It has no `buffer`, as click would write to that directly when the stream's encoding is ASCII.

    Attributes:
        hide: Takes secrets out of what is written.
        is_all: Whether the command makes nothing but this output.
        is_broken: Whether what is written from now on reaches nobody.
        is_lost: Whether output was lost that somebody still expects; the reader of a pipe that has gone does not.
    """

    def __init__(self, stream: TextIO, beside: TextIO | None, hide: Hide = str) -> None:
        """Wrap a stream.

        Args:
            stream: The stream.
            beside: Where to report that output is lost; None for nowhere.
            hide: Takes secrets out of what is written.
        """
        self.hide = hide
        self.is_all = True
        self.is_broken = False
        self.is_lost = False
        self._stream = stream
        self._beside = beside

    def __getattr__(self, name: str) -> Any:
        """Delegate to the stream."""
        if name == "buffer":
            raise AttributeError(name)
        return getattr(self._stream, name)

    @property
    def bytes(self) -> BinaryIO:
        """The stream below, for bytes; what is written to it may fail."""
        return self._stream.buffer

    def write(self, text: str) -> int:
        """Write the text, or discard it when that fails."""
        self._attempt(lambda: self._stream.write(self.hide(text)))
        return len(text)

    def flush(self) -> None:
        """Flush the stream, or discard what it holds when that fails."""
        self._attempt(self._stream.flush)

    def _attempt(self, write: Any) -> None:
        if self.is_broken:
            return
        try:
            write()
        except (OSError, ValueError) as error:  # a ValueError: somebody has closed it
            self.is_broken = True
            _discard(self._stream)
            if getattr(error, "errno", None) != errno.EPIPE and self._beside is not None:
                self.is_lost = True
                why = getattr(error, "strerror", None) or error
                rest = "" if self.is_all else "; its work goes on"
                self._beside.write(f"uploader: this command's output cannot be written ({why}){rest}\n")


@contextmanager
def tolerant_streams(secrets: HiddenSecrets) -> Iterator[None]:
    """Replace standard output and error by streams that never fail, and tell no secret, while the block runs.

    Args:
        secrets: Takes them out of texts.
    """
    _occupy()
    usual = sys.stdout, sys.stderr
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        out, error = (stream or nowhere for stream in usual)
        for stream in (out, error):
            _accept_all_text(stream)
        sys.stderr = cast("TextIO", TolerantStream(error, None, secrets.out_of_message))
        sys.stdout = cast("TextIO", TolerantStream(out, sys.stderr, secrets.out_of))
        try:
            with _failing_without_output():
                yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            sys.stdout, sys.stderr = usual


def hiding() -> Hide:
    """Return what takes secrets out of the messages of the command that runs."""
    return stream.hide if isinstance(stream := cast("object", sys.stderr), TolerantStream) else str


def work_goes_on() -> None:
    """Have the command that runs go on, and end as it would, without output: it makes something else as well."""
    if isinstance(stream := cast("object", sys.stdout), TolerantStream):
        stream.is_all = False


@contextmanager
def _failing_without_output() -> Iterator[None]:
    """Give a command that ends well another exit code where its output was lost, and is all that it makes."""
    try:
        yield
    except SystemExit as ending:
        stream = cast("object", sys.stdout)
        sys.stdout.flush()
        if not ending.code and isinstance(stream, TolerantStream) and stream.is_lost and stream.is_all:
            raise SystemExit(UNWRITTEN) from ending
        raise


def binary_output() -> BinaryIO:
    """Return the standard output for bytes, such as a file that is to be whole or not to be: writing them may fail."""
    stream = cast("object", sys.stdout)
    return stream.bytes if isinstance(stream, TolerantStream) else sys.stdout.buffer


def is_anybody_reading() -> bool:
    """Return whether what is printed reaches somebody; False once the reader of a pipe has gone, or a disk is full."""
    if isinstance(stream := cast("object", sys.stdout), TolerantStream) and stream.is_broken:
        return False
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        return not any(events & (select.POLLERR | select.POLLNVAL) for _, events in poll.poll(0))
    except (OSError, ValueError):  # it is no file
        return True


def _occupy() -> None:
    """Open closed standard descriptors on the null device, lest a file of ours get their number and be printed into."""
    for number in _STANDARD:
        try:
            os.fstat(number)
        except OSError:
            with suppress(OSError):
                os.open(os.devnull, os.O_RDWR)  # the system gives the lowest number that is free


def _accept_all_text(stream: object) -> None:
    """Have the stream escape characters that its encoding does not have."""
    if isinstance(stream, io.TextIOWrapper):
        with suppress(OSError, ValueError):
            stream.reconfigure(errors="backslashreplace")


def _discard(stream: TextIO) -> None:
    """Send what the stream still holds to the null device: Python flushes it at exit, and would fail then."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, stream.fileno())
        finally:
            os.close(nowhere)
