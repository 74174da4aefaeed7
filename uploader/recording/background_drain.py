"""Keeps a drain at work beside a training: a process of its own, which outlives the training and whatever ran it.

It is started in a session of its own, so that what ends a notebook's kernel or a terminal does not end it; it inherits
no descriptor, and thus no lock. Its keys come from the same places as those of a drain that a person starts: nothing
secret is on its command line.
"""

from __future__ import annotations

import json
import logging
import math
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from journal.disk import give_to_owner_of
from journal.next_steps import next_command
from journal.reading.drain_at_work import LOG, DrainAtWork, last_drain

LOGGER = logging.getLogger("uploader")

ENTRY = Path(__file__).with_name("drain_entry.py")
_ROOT = Path(__file__).parents[2]
AGAIN_SECONDS = 30.0
"""How long after a start a drain that died is started again; twice as long each time, half an hour at most."""
_LONGEST_WAIT = 1800.0
START_SECONDS = 30.0
"""How long the process that starts the drain may take; it only forks once Python has begun."""


class BackgroundDrain:
    """Starts the drain of one journal where none is at work. The recorder's thread owns it."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Start nothing yet.

        Args:
            folder: The journal.
            clock: Seconds; never goes back.
        """
        self._folder = folder
        self._clock = clock
        self._has_started = False
        self._start_at = -math.inf
        self._wait = AGAIN_SECONDS
        self._has_warned = False

    @property
    def log(self) -> Path:
        """The file that the drain prints to."""
        return self._folder / LOG

    def keep(self) -> None:
        """Start a drain unless one is at work, or a person has stopped it; warn once if that fails."""
        try:
            if self._is_wanted():
                self._start()
        except Exception as error:  # noqa: BLE001 - the training goes on in any case
            self._warn(f"{type(error).__name__}: {error}")

    def _is_wanted(self) -> bool:
        """Return whether none is at work that can be seen here, and nobody has told this training's to end.

        One that has ended by itself although this training goes on did not see it, as the journal could not be
        written, or was removed.
        """
        last = self._last()
        if last is not None and not last.is_gone and (last.is_here or self._has_started):
            return False
        was_stopped = self._has_started and last is not None and last.was_stopped
        return self._clock() >= self._start_at and not was_stopped

    def _start(self) -> None:
        self._start_at = self._clock() + self._wait
        self._wait = min(2 * self._wait, _LONGEST_WAIT)
        if code := self._run():
            self._warn(f"Python ended with {code}; {self.log} may say why")
        else:
            self._has_started = True

    def _run(self) -> int:
        """Run the process that starts the drain and ends at once; return its exit code."""
        import subprocess

        log = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            give_to_owner_of(self.log, self._folder)
            return subprocess.run(
                [sys.executable, str(ENTRY), json.dumps(_path()), *self._arguments()],
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                close_fds=True,
                start_new_session=True,
                timeout=START_SECONDS,
                check=False,
            ).returncode
        finally:
            os.close(log)

    def _last(self) -> DrainAtWork | None:
        return last_drain(self._folder)

    def _arguments(self) -> list[str]:
        """Return the command, and its options."""
        return ["drain", "--until-done", "--log", str(self.log), "--journal", str(self._folder)]

    def _environment(self) -> dict[str, str] | None:
        """Return its environment; None for the training's."""
        return None

    def _warn(self, why: str) -> None:
        if not self._has_warned:
            self._tell(why)
        self._has_warned = True

    def _tell(self, why: str) -> None:
        command = next_command("drain", self._folder)
        LOGGER.warning("No drain could be started beside this training (%s); `%s` delivers it", why, command)


def _path() -> list[str]:
    """Return where this process finds its modules, ours first; without this, `uploader` may be another project's."""
    return [str(_ROOT), *(_absolute(entry) for entry in sys.path if entry != str(_ROOT))]


def _absolute(entry: str) -> str:
    """Return an entry of the path that does not depend on the working folder; not every entry names a file."""
    return str(Path(entry).absolute()) if Path(entry).exists() else entry
