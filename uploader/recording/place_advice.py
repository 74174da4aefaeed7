"""What would make a journal's place safer: one line, decided from where it is."""

from __future__ import annotations

from pathlib import Path

from journal.next_steps import next_command
from journal.surroundings.machines import KAGGLE, Outlasts
from journal.surroundings.place import Surroundings


def vanishes_at(folder: Path, here: Surroundings) -> str | None:
    """Return at what a folder's files vanish, short of losing the machine; None if they do not."""
    return here.machine.ends if here.place(folder).outlasts < Outlasts.SESSION else None


def advice(journal: Path, here: Surroundings) -> str | None:
    """Return what a person does so that less is lost with a journal's place; None where that is as safe as can be.

    Args:
        journal: The journal's folder.
        here: The machine.
    """
    outlasts = here.place(journal).outlasts
    if outlasts is Outlasts.MACHINE or not (here.machine.is_lent or vanishes_at(journal, here)):
        return None
    if better := next((one for one in here.known() if one.suits_journal and one.outlasts > outlasts), None):
        return f"set UPLOADER_JOURNAL={better.folder / 'uploader-journal'}"
    if not here.machine.is_lent:
        return "set UPLOADER_JOURNAL to a folder that is kept, such as one that is mounted into the container"
    saved = ", and save a version of the notebook afterwards" if here.machine is KAGGLE else ""
    return f"deliver while it trains: run `{next_command('drain --watch', journal)}` beside it{saved}"
