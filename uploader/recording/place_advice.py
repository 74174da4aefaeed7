"""What would make a journal's place safer: one line, decided from where it is."""

from __future__ import annotations

from pathlib import Path

from journal.next_steps import next_command
from journal.surroundings.machines import KAGGLE, Outlasts
from journal.surroundings.place import Surroundings


def concern(journal: Path, here: Surroundings) -> str | None:
    """Return what is wrong with a journal's place, short of losing the machine; None if nothing is.

    Args:
        journal: The journal's folder.
        here: The machine.
    """
    place = here.place(journal)
    if not place.suits_journal:
        return f"is no place for a database ({place.why}), which may arrive torn or not at all"
    if place.outlasts < Outlasts.SESSION:
        return f"vanishes at {here.machine.ends} ({place.why})"
    return None


def advice(journal: Path, here: Surroundings) -> str | None:
    """Return what a person does so that less is lost with a journal's place; None where that is as safe as can be.

    Args:
        journal: The journal's folder.
        here: The machine.
    """
    place = here.place(journal)
    if not place.suits_journal:
        return "keep the journal on the machine's own disk: leave UPLOADER_JOURNAL and attach(journal=...) away"
    if place.outlasts is Outlasts.MACHINE or not (here.machine.is_lent or concern(journal, here)):
        return None
    if better := next((one for one in here.known() if one.suits_journal and one.outlasts > place.outlasts), None):
        return f"set UPLOADER_JOURNAL={better.folder / 'uploader-journal'}"
    if not here.machine.is_lent:
        return "set UPLOADER_JOURNAL to a folder that is kept, such as one that is mounted into the container"
    saved = ", and save a version of the notebook afterwards" if here.machine is KAGGLE else ""
    return f"deliver while it trains: run `{next_command('drain --watch', journal)}` beside it{saved}"
