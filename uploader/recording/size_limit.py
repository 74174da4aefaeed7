"""Keeps a training's journal within its size limit."""

from __future__ import annotations

import logging
from pathlib import Path

from journal.errors import JournalError
from journal.next_steps import next_command
from journal.quantities import readable
from uploader.recording.open_session import OpenSession

LOGGER = logging.getLogger("uploader")


class SizeLimit:
    """The size limit of one journal, which warns once when it cannot be kept.

    Attributes:
        limit: Bytes.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        """Take the limit in bytes of the journal in a folder."""
        self.limit = limit
        self._folder = folder
        self._has_warned = False

    def enforce(self, opened: OpenSession, size: int = 0, role: str | None = None) -> bool:
        """Evict what may be evicted; see `OpenSession.enforce_limit`. A failure is ignored, as it is tried again."""
        try:
            fits = opened.enforce_limit(self.limit, size, role)
        except (JournalError, OSError) as error:
            LOGGER.debug("the journal's size limit could not be enforced: %s", error)
            return True
        if not fits and not self._has_warned:
            self._has_warned = True
            LOGGER.warning(
                "The journal %s has reached its limit of %s (UPLOADER_MAX_SIZE), even after evicting all that it may. "
                "Metrics and the final checkpoint are still kept; other checkpoints are not. Make room: `%s`.",
                self._folder,
                readable(self.limit),
                next_command("drain", self._folder),
            )
        return fits
