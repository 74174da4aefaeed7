"""Fetching several checkpoints of a mirror at once.

To read, decode, hash and write one takes a core longer than a disk takes to store it, and from an object store most of
the time is waiting. The libraries that do this let other threads run meanwhile, so a few threads, which begin and end
here, fetch a checkpoint each. Each has one part of it in memory, as it is stored and as it becomes: 16 MiB at most.
"""

from __future__ import annotations

import os
import uuid
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Thread

from journal.checkpoints.blobs import delete
from journal.errors import MirrorUnavailable
from journal.mirror import checkpoint_parts
from journal.mirror.stores import Listed, Source

_TOGETHER = 16
_PATIENCE = 2.0  # seconds for each thread, where something else went wrong
AT_ONCE = min(4, (os.cpu_count() or 1) + 1)
"""How many are fetched at once: one more than there are cores, as each waits for the disk in between."""


class Fetch:
    """A checkpoint that is fetched into a file.

    Attributes:
        sha256: Its name.
        copy: The file. It belongs to the fetching, which deletes it in the end where nobody has moved it.
    """

    def __init__(self, sha256: str, folder: Path) -> None:
        """Begin nothing yet."""
        self.sha256 = sha256
        self.copy = folder / f".tmp-{os.getpid()}-{uuid.uuid4().hex}"
        self._content: Future[str | None] = Future()

    def run(self, store: Source) -> None:
        """Fetch it."""
        try:
            self._content.set_result(checkpoint_parts.fetch(store, self.sha256, self.copy))
        except BaseException as error:  # noqa: BLE001 (raised where it is waited for)
            self._content.set_exception(error)

    def content(self) -> str | None:
        """Wait for it, and return the sha256 of what was written; None when the mirror does not have it.

        Raises:
            DamagedMirror: A part of it is missing or damaged.
            LibraryMissing: It is compressed, and the library for that is not there.
            MirrorUnavailable: It cannot be read now.
        """
        return self._content.result()

    def wait(self) -> None:
        """Wait until it is there or cannot be had."""
        self._content.exception()

    def is_ready(self) -> bool:
        """Return whether it is there."""
        return self._content.done() and self._content.exception() is None


@contextmanager
def fetching(store: Source, sha256s: Iterable[str], folder: Path) -> Iterator[Sequence[Fetch]]:
    """Fetch checkpoints while the caller takes them in, in their order.

    When it ends, also by an error, nothing is fetched any more, and no file is left that the caller has not taken. A
    thread that a mirror leaves hanging does not hold up an error, or a signal: after a moment it is left to itself, and
    what it may still write goes with the next sweep of the folder.

    Args:
        store: The mirror.
        sha256s: Which.
        folder: Where their files are written.
    """
    fetches = [Fetch(sha256, folder) for sha256 in sha256s]
    waiting: SimpleQueue[Fetch] = SimpleQueue()
    for one in fetches:
        waiting.put(one)
    is_over = Event()
    source = _UntilOver(store, is_over)
    threads = [Thread(target=_work, args=(waiting, source), daemon=True) for _ in fetches[:AT_ONCE]]
    patience: float | None = _PATIENCE
    try:
        for thread in threads:
            thread.start()
        yield fetches
        patience = None
    finally:
        is_over.set()
        for thread in threads:
            if thread.ident is not None:
                thread.join(patience)
        for one in fetches:
            delete(one.copy)


def ready_together(fetches: Iterable[Fetch]) -> Iterator[Sequence[Fetch]]:
    """Yield fetches in their order, once they are ready: one, and with it those after it that are ready as well.

    A transaction for several is flushed once. They are few, as events wait for it.
    """
    waiting = deque(fetches)
    while waiting:
        several = [waiting.popleft()]
        several[0].wait()
        while waiting and waiting[0].is_ready() and len(several) < _TOGETHER:
            several.append(waiting.popleft())
        yield several


def _work(waiting: SimpleQueue[Fetch], source: Source) -> None:
    while True:
        try:
            waiting.get_nowait().run(source)
        except Empty:
            return


class _UntilOver:
    """A mirror that cannot be read any more once nobody waits for it; see `journal.mirror.stores.Source`."""

    def __init__(self, store: Source, is_over: Event) -> None:
        self._store = store
        self._is_over = is_over

    def get(self, name: str) -> bytes | None:
        self._require()
        return self._store.get(name)

    def get_file(self, name: str, target: Path) -> bool:
        self._require()
        return self._store.get_file(name, target)

    def list(self, prefix: str = "") -> Iterator[Listed]:
        return self._store.list(prefix)

    def _require(self) -> None:
        if self._is_over.is_set():
            raise MirrorUnavailable("nothing is fetched from the mirror any more")
