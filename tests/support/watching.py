"""Drains that watch, as processes whose lines are read while they run."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from support.journals import ROOT


class Watching:
    """A drain that watches; its lines are read by threads, so that it never waits for a reader."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.out: list[str] = []
        self.error: list[str] = []
        self._news = threading.Condition()
        self._threads = [
            threading.Thread(target=self._read, args=each)
            for each in ((process.stdout, self.out), (process.stderr, self.error))
        ]
        for thread in self._threads:
            thread.start()

    def _read(self, stream: Iterator[str], lines: list[str]) -> None:
        for line in stream:
            with self._news:
                lines.append(line)
                self._news.notify_all()

    def wait_for(self, text: str) -> str:
        """Wait for a line that holds a text, and return it."""
        with self._news:
            assert self._news.wait_for(lambda: self._with(text), 60), [self.out, self.error]
        return self._with(text)[0]

    def _with(self, text: str) -> list[str]:
        return [line for line in (*self.out, *self.error) if text in line]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, and return the exit code."""
        self.process.send_signal(number)
        return self.end()

    def end(self) -> int:
        """Wait for the end, and return the exit code."""
        self.process.wait(60)
        for thread in self._threads:
            thread.join()
        return self.process.returncode


@contextmanager
def watching(
    environment: dict[str, str], *arguments: str, option: str = "--watch", program: Sequence[str] = ("-m", "uploader")
) -> Iterator[Watching]:
    """Start `drain --watch`, or with another option; it is killed in the end."""
    command = [sys.executable, *program, "drain", option, *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, env=environment, **pipes) as process:  # type: ignore[call-overload]
        try:
            yield Watching(process)
        finally:
            process.kill()
