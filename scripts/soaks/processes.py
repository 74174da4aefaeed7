"""Writer processes that are meant to be killed, forked within milliseconds from a parent that has imported all."""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from collections.abc import Callable

from soaks.ledger import Acknowledged, parse
from soaks.workload import Report

_TIMEOUT_SECONDS = 60.0  # SQLite waits ten seconds for a lock that could not be released, up to three times
_FAILED = b"failed "


class Child:
    """One forked writer and the socket on which it reports.

    Attributes:
        pid: The process.
        was_killed: Whether a signal ended it; set by `reap`.
        failure: The error that ended it, or None; set by `reap`.
    """

    def __init__(self, work: Callable[[Report], None]) -> None:
        """Fork, and run `work` in the child."""
        # A socket, not a pipe, so that a suite that makes `write` fail still gets the reports.
        self._reader, writer = socket.socketpair()
        self._received = bytearray()
        self.was_killed = False
        self.failure: str | None = None
        self.pid = os.fork()
        if self.pid == 0:
            self._reader.close()
            _work_and_exit(work, writer)
        writer.close()

    def wait_for_reports(self, count: int) -> None:
        """Wait until `count` writes were reported, or the child has ended."""
        while self._received.count(b"\n") < count and self._receive(_TIMEOUT_SECONDS):
            pass

    def wait_for_end(self) -> None:
        """Wait until the child has ended, for whatever reason."""
        while self._receive(_TIMEOUT_SECONDS):
            pass

    def reported(self) -> int:
        """Return how many writes were reported so far."""
        while self._receive(0.0):
            pass
        return self._received.count(b"\n")

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        os.kill(self.pid, signal.SIGKILL)

    def reap(self) -> list[Acknowledged]:
        """Wait for its end, and return everything that it reported."""
        self.wait_for_end()
        self._reader.close()
        _, status = os.waitpid(self.pid, 0)
        self.was_killed = os.WIFSIGNALED(status)
        reports, _, failure = bytes(self._received).partition(_FAILED)
        self.failure = failure.decode().strip() or None
        return parse(reports)

    def _receive(self, timeout: float) -> bool:
        """Receive what arrives within `timeout` seconds; return False if there is nothing, or at the stream's end."""
        if not select.select([self._reader], [], [], timeout)[0]:
            if not timeout:
                return False
            self.kill()
            raise TimeoutError(f"the writer {self.pid} reported nothing for {timeout:.0f} s")
        chunk = self._reader.recv(1 << 16)
        self._received += chunk
        return bool(chunk)


def spin(seconds: float) -> None:
    """Busy-wait, for less than a scheduler's tick."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def _work_and_exit(work: Callable[[Report], None], reports: socket.socket) -> None:
    """Run in the child, report the error that ends it, and never return into the parent's code."""
    status = 1
    try:
        work(lambda acknowledged: reports.sendall(acknowledged.line()))
        status = 0
    except BaseException as error:  # noqa: BLE001 - the forked interpreter ends here in any case
        reports.sendall(_FAILED + f"{type(error).__name__}: {error}".encode()[:1000])
    finally:
        os._exit(status)
