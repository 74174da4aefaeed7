"""Warnings, when a training begins, about the folders in which its events are kept."""

from __future__ import annotations

import logging
from pathlib import Path

from journal.locations import is_temporary, unfit_fallback

LOGGER = logging.getLogger("uploader")


def warn_of_places(journal: Path, *, is_named: bool) -> None:
    """Warn if the journal may be lost, or if a configured folder cannot be used.

    Args:
        journal: The journal's folder.
        is_named: Whether the training's script named it.
    """
    if not is_named and is_temporary(journal):
        LOGGER.warning(
            "This user has no home folder, so the journal is in %s, which may be cleaned; set UPLOADER_JOURNAL to "
            "a permanent folder.",
            journal,
        )
    if unfit := unfit_fallback():
        LOGGER.warning("%s for events that the journal cannot take. Set it to a folder, or not at all.", unfit)
