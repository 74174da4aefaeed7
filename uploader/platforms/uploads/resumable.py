"""Resumable uploads: the file is sent in chunks, and the server reports how many bytes it has.

Sessions of tus (`tus.py`) and of Google Cloud Storage (`gcs.py`) differ only in their requests. What to send next, and
when to leave an interrupted upload to a later attempt, is decided here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from uploader.errors import DeliveryError, Foreign, Transient, UnknownOutcome, Unreachable
from uploader.platforms.base import Upload, UploadProgress
from uploader.platforms.http.file_body import BlobReader, Chunk

LEAST_CHUNK = 256 * 1024
"""Bytes. Google Cloud Storage requires multiples of it."""
MOST_CHUNK = 8 * 1024 * 1024
"""Bytes, of the first chunk."""
CHUNKS = 256
"""About how many a file would be sent in, were all as large as the first."""
MOST_GROWN = 64 * 1024 * 1024
"""Bytes, of any chunk; many a proxy takes no request of 100 MB."""
LONG_ENOUGH = 1.0
"""After a chunk that took less than so many seconds, much of them a round trip, larger ones follow,"""
GROWTH = 4
"""so many times as large; after one that took so many times as long, smaller ones."""
CUTS = 20
"""So many interruptions of a large file"""
SENT_TWICE = 1 / 10
"""cost this part of it at most,"""
AT_RISK = 9 / 10
"""and one of them this part of what the others have left of that."""
TOO_LARGE = 413
"""The status of who takes no request of this size."""
FRUITLESS = 6
"""How many failures in a row without a new byte end an attempt. By then the largest chunk has shrunk to the least."""
INTERRUPTIONS = 100
"""How many failures in total end an attempt, whatever was sent in between."""


class OutOfStep(Transient):
    """The server took none, or only part, of the chunk; its offset tells where to continue."""


class StillBusy(Transient):
    """The server is still handling an earlier request, maybe one whose connection broke; the location is good."""


class LocationLost(Transient):
    """The location for the upload has expired, is gone, or holds something else: a new one is needed."""


class LocationRefused(LocationLost):
    """The storage refuses the location: it has expired, or the storage does not admit the platform's users."""


class LocationHidden(LocationLost, Foreign):
    """Whether the location is good is unknown: a page came instead of the storage's answer."""


class UploadSession(Protocol):
    """One upload at one server. Its methods raise `DeliveryError` when there is no usable answer."""

    def offset(self) -> int:
        """Ask how many bytes the server has.

        Raises:
            StillBusy: It is still handling an earlier request.
            LocationLost: It no longer has the session.
        """
        ...

    def send(self, offset: int, chunk: Chunk) -> int:
        """Send a chunk that begins at `offset`, and return how many bytes the server has then.

        Raises:
            OutOfStep: It took none of it.
            StillBusy: It is still handling an earlier request.
            LocationLost: It no longer has the session, or reports another file.
        """
        ...

    def abandon(self) -> None:
        """Tell the server, if it supports that, to discard what it has."""
        ...


def chunk_size(size: int, fruitless: int = 0) -> int:
    """Return the size of a chunk; each failure without a new byte halves it.

    Args:
        size: The file's, in bytes.
        fruitless: Failures in a row.
    """
    usual = min(max(size // CHUNKS, LEAST_CHUNK), MOST_CHUNK) >> fruitless
    return max(usual - usual % LEAST_CHUNK, LEAST_CHUNK)


def most_at_risk(size: int, lost: int) -> int:
    """Return how large a chunk may be, as an interruption may cost all of it.

    Args:
        size: The file's, in bytes.
        lost: Bytes that were sent in vain before.
    """
    most = int(AT_RISK * (SENT_TWICE * size - CUTS * LEAST_CHUNK - lost))
    return max(most - most % LEAST_CHUNK, LEAST_CHUNK)


def goes_on(fruitless: int, interruptions: int) -> bool:
    """Return whether an attempt continues after a failure, rather than leaving the upload to a later one.

    Args:
        fruitless: Failures in a row without a new byte, this one included.
        interruptions: Failures in this attempt, this one included.
    """
    return fruitless < FRUITLESS and interruptions < INTERRUPTIONS


@dataclass
class Account:
    """What the server has confirmed, and the failures of this attempt.

    Attributes:
        reach: How many bytes can have arrived at most.
        offset: How many the server has; None when it must be asked.
        confirmed: How many it had when it last reported.
        fruitless: Failures in a row without a new byte.
        interruptions: Failures in total.
        growth: How many times as large as at first a chunk is.
        size: Of the last chunk.
        most: How large one may grow: half of what has failed.
        sent: Up to where the last chunk was sent.
        lost: Bytes that were sent in vain.
    """

    reach: int
    offset: int | None
    confirmed: int = 0
    fruitless: int = 0
    interruptions: int = 0
    growth: int = 1
    size: int = 0
    most: int = MOST_GROWN
    sent: int = 0
    lost: int = 0

    def chunk(self, size: int) -> int:
        """Return how large the next chunk of a file of this size is to be."""
        usual = chunk_size(size, self.fruitless)
        return min(max(usual, min(usual * self.growth, self.most)), most_at_risk(size, self.lost))

    def accept(self, offset: int) -> None:
        """Accept the offset that the server reports, even a smaller one; it cannot have bytes that were not sent.

        Raises:
            LocationLost: It reports more.
        """
        if offset > self.reach:
            raise LocationLost(f"the storage says that it has {offset} bytes, but only {self.reach} were sent to it")
        if offset > self.confirmed:
            self.fruitless = 0
        self.lost += max(0, self.sent - offset)
        self.sent = 0
        self.offset = self.confirmed = offset

    def took(self, start: int, offset: int, seconds: float) -> None:
        """Accept the offset that the server reports after a chunk that began at `start`.

        Args:
            start: Where it began.
            offset: What the server has.
            seconds: How long that took.

        Raises:
            OutOfStep: It took none of the chunk.
            LocationLost: It reports more than was sent.
        """
        self.accept(offset)
        if offset <= start:
            raise OutOfStep(f"the storage took no byte of those from {start} on")
        if seconds < LONG_ENOUGH:
            self.growth = min(self.growth * GROWTH, MOST_GROWN // LEAST_CHUNK)
        elif seconds > GROWTH * LONG_ENOUGH:
            self.growth = max(self.growth // GROWTH, 1)

    def failed(self, error: DeliveryError) -> bool:
        """Count a failure, before which any part may have arrived; return whether the attempt continues.

        A location is good that refused only the size of a chunk, if that had grown.
        """
        if isinstance(error, LocationLost) and (error.status != TOO_LARGE or self.growth == 1):
            return False
        self.growth, self.most = 1, self.size // 2
        self.offset = None
        self.fruitless += 1
        self.interruptions += 1
        return goes_on(self.fruitless, self.interruptions)


def transfer(
    upload: Upload,
    session: UploadSession,
    progress: UploadProgress,
    *,
    offset: int | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Send what the server lacks until it has the whole file.

    Args:
        upload: The file.
        session: The upload at the server.
        progress: Told how many bytes the server has confirmed, repeatedly while a chunk is being sent.
        offset: How many bytes the server has; None when it must be asked.
        clock: Seconds; never goes back.

    Raises:
        LocationLost: A new location is needed.
        DeliveryError: It ended early; the server keeps what it has.
    """
    account = Account(upload.size if offset is None else offset, offset)
    with BlobReader(upload.content, upload.size, upload.sha256, lambda _: progress(account.confirmed)) as blob:
        while account.offset != upload.size:
            try:
                _step(account, session, blob, clock)
            except (OutOfStep, StillBusy, LocationLost, UnknownOutcome, Unreachable) as error:
                if not account.failed(error):
                    raise
        progress(upload.size)


def _step(account: Account, session: UploadSession, blob: BlobReader, clock: Callable[[], float]) -> None:
    """Make one request: ask for the offset if it is unknown, else send the chunk that begins there."""
    if account.offset is None:
        account.accept(session.offset())
        return
    start, began = account.offset, clock()
    blob.seek(start)
    chunk = Chunk(blob, account.chunk(len(blob)))
    account.size = len(chunk)
    account.reach = max(account.reach, start + len(chunk))
    try:
        offset = session.send(start, chunk)
    finally:
        account.sent = start + chunk.sent
    account.took(start, offset, clock() - began)
