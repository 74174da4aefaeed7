"""Keeps a collector at work beside a training: a process of its own, which brings its journal into a shared one.

It is started as a background drain is, and ends once no training records any more and all is in the shared journal.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

from journal.locations import handing_down
from journal.next_steps import collect_command
from journal.reading.drain_at_work import COLLECT_LOG, COLLECTOR, DrainAtWork, last_drain
from journal.shared_library import NEEDS_LIBRARY, is_installed
from uploader.recording.background_drain import BackgroundDrain
from uploader.recording.journal_options import JournalOptions

LOGGER = logging.getLogger("uploader")


class BackgroundCollector(BackgroundDrain):
    """Starts the collector of one journal where none is at work. The recorder's thread owns it."""

    def __init__(self, folder: Path, into: str, clock: Callable[[], float] = time.monotonic) -> None:
        """Start nothing yet.

        Args:
            folder: The journal.
            into: The URL of the shared one, without a password.
            clock: Seconds; never goes back.
        """
        super().__init__(folder, clock)
        self._into = into

    @property
    def log(self) -> Path:
        """The file that the collector prints to."""
        return self._folder / COLLECT_LOG

    def _start(self) -> None:
        """Start it, unless it could do nothing; a library may be installed while the training goes on."""
        if is_installed():
            super()._start()
        else:
            self._warn(f"it {NEEDS_LIBRARY}")

    def _last(self) -> DrainAtWork | None:
        return last_drain(self._folder, COLLECTOR)

    def _arguments(self) -> list[str]:
        return ["collect", str(self._folder), "--until-done", "--log", str(self.log)]

    def _environment(self) -> dict[str, str]:
        """Return an environment that names the shared journal, with the password if the training has one."""
        return handing_down(self._into)

    def _tell(self, why: str) -> None:
        command = collect_command(self._folder, self._into)
        LOGGER.warning("No collector could be started beside this training (%s); `%s` brings it in", why, command)


def background_work(options: JournalOptions, folder: Path) -> BackgroundDrain | None:
    """Return what is kept at work beside a training, if anything is.

    Args:
        options: What was chosen.
        folder: The journal.
    """
    if options.shared:
        return BackgroundCollector(folder, options.shared)
    return BackgroundDrain(folder) if options.drain else None
