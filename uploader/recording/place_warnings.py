"""Warnings, when a training begins, about the folders in which its events are kept."""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path

from journal import locations
from journal.locations import choose_journal, unfit_fallback
from journal.shared_addresses import shared_url, without_password
from uploader.recording.journal_options import JournalOptions
from uploader.recording.place_advice import advice, concern

LOGGER = logging.getLogger("uploader")


def warn_of_places(journal: Path, options: JournalOptions) -> None:
    """Warn if the journal may be lost, or if a configured folder cannot be used.

    Args:
        journal: The journal's folder.
        options: What the training's script chose.
    """
    chosen = choose_journal()
    if chosen.is_makeshift and options.journal is None:
        _warn_once(
            f"The journal is in {journal}, because {chosen.why}. It may be cleaned; set UPLOADER_JOURNAL to a "
            "permanent folder."
        )
    else:
        _warn_of_place(journal, options)
    if unfit := unfit_fallback():
        LOGGER.warning("%s for events that the journal cannot take. Set it to a folder, or not at all.", unfit)


def _warn_of_place(journal: Path, options: JournalOptions) -> None:
    """Warn of a place that loses files; what a person named on a machine of their own may vanish, as they wish."""
    here = locations.surroundings()
    is_named = options.journal is not None or journal == locations.chosen_journal()
    if is_named and not here.machine.is_lent and here.place(journal).suits_journal:
        return
    if wrong := concern(journal, here, options.mirror, drains=options.drain):
        shared = shared_url(options.journal or locations.named_journal() or "")
        into = without_password(shared) if shared else None
        step = advice(journal, here, options.mirror, drains=options.drain, shared=into)
        _warn_once(f"The journal {journal} {wrong}. To be safe, {step}.")


@cache
def _warn_once(message: str) -> None:
    """Warn once a process: the trainings that follow are in the same place."""
    LOGGER.warning("%s", message)
