"""What is to be said, when a training begins, of the places in which its events are kept."""

from __future__ import annotations

import logging
from pathlib import Path

from journal.locations import is_temporary, unfit_fallback

LOGGER = logging.getLogger("uploader")


def warn_of_places(journal: Path, *, is_named: bool) -> None:
    """Warn where what is kept may be lost, or is kept elsewhere than a person said.

    Args:
        journal: The journal's folder.
        is_named: Whether the training's script named it.
    """
    if not is_named and is_temporary(journal):
        LOGGER.warning(
            "This user has no home folder, so the journal is in %s, which may be cleaned; set UPLOADER_JOURNAL to "
            "a folder that stays.",
            journal,
        )
    if unfit := unfit_fallback():
        LOGGER.warning("%s for events that the journal cannot take. Set it to a folder, or not at all.", unfit)
