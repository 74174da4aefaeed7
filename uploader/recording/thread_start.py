"""Starts a thread where a signal handler may strike in the middle of the start, or fork."""

from __future__ import annotations

import os
import threading

from journal.handler_errors import raised_in_handler

_POLL_SECONDS = 0.2


class _Start(threading.Event):
    """The start of a thread, for which a forked child waits no longer; `Thread.start` waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self._pid = os.getpid()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the start for as long as it can come; the timeout is of no account."""
        while not super().wait(_POLL_SECONDS) and self._pid == os.getpid():
            pass
        return self.is_set()


def start_thread(thread: threading.Thread) -> None:
    """Start a thread.

    Raises:
        RuntimeError: None can be started any more.
        BaseException: What a signal handler raised meanwhile; the thread may run all the same.
    """
    thread._started = _Start()  # type: ignore[attr-defined]
    try:
        thread.start()
    except KeyError as error:
        raise _struck_in_start(error) from None


def _struck_in_start(error: KeyError) -> BaseException:
    """Return what a signal handler raised while a thread was being started.

    `Thread.start` then takes back that the thread is about to run; where it runs already, that raises a KeyError.
    """
    return error if raised_in_handler(error) or error.__context__ is None else error.__context__
