"""Uploads that go on where they were cut: the file goes out in chunks, and the server tells how much of it it has.

Sessions of tus (`tus.py`) and of Google Cloud Storage (`gcs.py`) differ in their requests only; what to send next, and
when to leave an interrupted upload to a later attempt, is decided here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from uploader.errors import Foreign, Transient, UnknownOutcome, Unreachable
from uploader.platforms.base import Progress, Upload
from uploader.platforms.http.file_body import BlobReader, Chunk

LEAST_CHUNK = 256 * 1024
"""Bytes. Google Cloud Storage takes multiples of it."""
MOST_CHUNK = 8 * 1024 * 1024
"""Bytes; a chunk is held in memory, because its checksum goes ahead of it."""
CHUNKS = 256
"""A file goes out in about so many. A cut costs one of them at most, so that 20 cuts cost 8 % of a large file."""
FRUITLESS = 6
"""So many failures in a row without a new byte end an attempt. By then even the largest chunk has become the least."""
INTERRUPTIONS = 100
"""So many failures in all end an attempt, whatever was sent in between."""


class OutOfStep(Transient):
    """The server took the chunk not, or not wholly; its offset tells how to go on."""


class StillBusy(Transient):
    """The server is at work on an earlier request, maybe one whose connection broke; the place is good."""


class PlaceLost(Transient):
    """The place for the upload has expired, is gone, or holds something else: another one must be asked for."""


class PlaceRefused(PlaceLost):
    """The storage itself refuses the place: its time is over, or the storage does not let the platform's users in."""


class PlaceHidden(PlaceLost, Foreign):
    """Whether the place is good is not known: a page came instead of the storage's answer."""


class Session(Protocol):
    """One upload at one server. Its methods raise `DeliveryError` when there is no answer to go on with."""

    def offset(self) -> int:
        """Ask how many bytes the server has.

        Raises:
            StillBusy: It is at work on an earlier request.
            PlaceLost: It does not have the session any more.
        """
        ...

    def send(self, offset: int, chunk: Chunk) -> int:
        """Send a chunk that begins at `offset`, and return how many bytes the server has then.

        Raises:
            OutOfStep: It took nothing of it.
            StillBusy: It is at work on an earlier request.
            PlaceLost: It does not have the session any more, or says that it holds another file.
        """
        ...

    def abandon(self) -> None:
        """Let the server forget what it has, as far as it can be told to."""
        ...


def chunk_size(size: int, fruitless: int = 0) -> int:
    """Return how many bytes of a file are sent at once; each failure without a new byte halves them.

    Args:
        size: Of the file, bytes.
        fruitless: Failures in a row.
    """
    usual = min(max(size // CHUNKS, LEAST_CHUNK), MOST_CHUNK) >> fruitless
    return max(usual - usual % LEAST_CHUNK, LEAST_CHUNK)


def goes_on(fruitless: int, interruptions: int) -> bool:
    """Return whether an attempt goes on after a failure, rather than leaving the upload to a later attempt.

    Args:
        fruitless: Failures in a row without a new byte, this one included.
        interruptions: Failures in this attempt, this one included.
    """
    return fruitless < FRUITLESS and interruptions < INTERRUPTIONS


@dataclass
class Account:
    """What the server said that it has, and what has befallen the attempt.

    Attributes:
        reach: So many bytes at most can have arrived.
        offset: So many the server has; None when it must be asked.
        confirmed: So many it had when it last said so.
        fruitless: Failures in a row without a new byte.
        interruptions: Failures in all.
    """

    reach: int
    offset: int | None
    confirmed: int = 0
    fruitless: int = 0
    interruptions: int = 0

    def told(self, offset: int) -> None:
        """Take the server's word, even when it has fewer bytes than before; it cannot have bytes that were not sent.

        Raises:
            PlaceLost: It says that it has more.
        """
        if offset > self.reach:
            raise PlaceLost(f"the storage says that it has {offset} bytes, but only {self.reach} were sent to it")
        if offset > self.confirmed:
            self.fruitless = 0
        self.offset = self.confirmed = offset

    def took(self, start: int, offset: int) -> None:
        """Take the server's word after a chunk that began at `start`.

        Raises:
            OutOfStep: It took nothing of it.
            PlaceLost: It says that it has more than was sent.
        """
        self.told(offset)
        if offset <= start:
            raise OutOfStep(f"the storage took no byte of those from {start} on")

    def failed(self) -> bool:
        """Count a failure, before which anything may have arrived; return whether the attempt goes on."""
        self.offset = None
        self.fruitless += 1
        self.interruptions += 1
        return goes_on(self.fruitless, self.interruptions)


def transfer(upload: Upload, session: Session, progress: Progress, *, offset: int | None = None) -> None:
    """Send what the server does not have, until it has the whole file.

    Args:
        upload: The file.
        session: Where it goes.
        progress: Hears how many bytes the server has confirmed, again and again while a chunk is on its way.
        offset: How many bytes the server has; None when it must be asked.

    Raises:
        PlaceLost: Another place is needed.
        DeliveryError: It ended early; what the server has stays there.
    """
    account = Account(upload.size if offset is None else offset, offset)
    with BlobReader(upload.path, upload.size, upload.sha256, lambda _: progress(account.confirmed)) as blob:
        while account.offset != upload.size:
            try:
                _step(account, session, blob, lambda: progress(account.confirmed))
            except (OutOfStep, StillBusy, UnknownOutcome, Unreachable):
                if not account.failed():
                    raise
        progress(upload.size)


def _step(account: Account, session: Session, blob: BlobReader, heard: Callable[[], None]) -> None:
    """Make one request: ask for the offset where it is not known, else send the chunk that begins there."""
    if account.offset is None:
        account.told(session.offset())
        return
    start = account.offset
    blob.seek(start)
    chunk = Chunk(blob.read(chunk_size(len(blob), account.fruitless)), heard)
    account.reach = max(account.reach, start + len(chunk))
    account.took(start, session.send(start, chunk))
