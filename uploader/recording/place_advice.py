"""What would make a journal's place safer: one line, decided from where it is."""

from __future__ import annotations

import shlex
from pathlib import Path

from journal.surroundings.machines import COLAB, CONTAINER, KAGGLE, Outlasts
from journal.surroundings.place import Place, Surroundings


def concern(journal: Path, here: Surroundings, mirror: str | None = None, *, drains: bool = False) -> str | None:
    """Return what is wrong with a journal's place, short of losing the machine; None if nothing is.

    Args:
        journal: The journal's folder.
        here: The machine.
        mirror: Address of what it is mirrored to; None for nothing.
        drains: Whether a drain is kept beside its trainings, which leaves little in it.
    """
    place = here.place(journal)
    if not place.suits_journal:
        return f"is no place for a database ({place.why}), which may arrive torn or not at all"
    if place.outlasts >= Outlasts.SESSION or drains or _is_mirrored(place, here, mirror):
        return None
    too = f", and so does its mirror {mirror}" if mirror else ""
    return f"vanishes at {here.machine.ends} ({place.why}){too}"


def advice(
    journal: Path,
    here: Surroundings,
    mirror: str | None = None,
    *,
    drains: bool = False,
    shared: str | None = None,
) -> str | None:
    """Return what a person does so that less is lost with a journal's place; None where that is as safe as can be.

    Args:
        journal: The journal's folder.
        here: The machine.
        mirror: Address of what it is mirrored to; None for nothing.
        drains: Whether a drain is kept beside its trainings, which leaves little in it.
        shared: URL of the shared journal that it is brought into; None for none.
    """
    place = here.place(journal)
    if not place.suits_journal:
        return f"keep the journal on the machine's own disk, and {_mirrored_to(place.folder.parent)}"
    if place.outlasts is Outlasts.MACHINE or _is_mirrored(place, here, mirror):
        return None
    if here.machine.is_lent:
        return _for_lent(place, here) or (None if drains else "use attach(model, drain=True), which delivers meanwhile")
    return _for_own(place, here) + _brought_into(shared) if concern(journal, here) else None


def _is_mirrored(place: Place, here: Surroundings, mirror: str | None) -> bool:
    """Return whether a mirror outlasts a place; one that is kept if a person sees to it counts."""
    if not mirror or "://" in mirror:
        return bool(mirror)
    other = here.place(Path(mirror))
    return other.outlasts > place.outlasts or other.sends_later


def _for_lent(place: Place, here: Surroundings) -> str | None:
    """Return what outlasts the session there; None where no folder does."""
    if here.machine is KAGGLE:
        return f"{_mirrored_to(Path(KAGGLE.folders[0].folder))}, and save a version of the notebook afterwards"
    if better := next((one for one in here.known() if one.outlasts > place.outlasts), None):
        return _mirrored_to(better.folder)
    if here.machine is COLAB:
        return f"mount Drive, and {_mirrored_to(Path('/content/drive/MyDrive'))}"
    return None


def _for_own(place: Place, here: Surroundings) -> str:
    if better := next((one for one in here.known() if one.outlasts > place.outlasts), None):
        return f"set UPLOADER_JOURNAL={better.folder / 'uploader-journal'}"
    where = ", such as one that is mounted into the container" if here.machine is CONTAINER else ""
    return f"set UPLOADER_JOURNAL to a folder that is kept{where}"


def _brought_into(shared: str | None) -> str:
    """Return what a person does besides, as `UPLOADER_JOURNAL` then names the shared journal no more."""
    return f", and bring that in by `collect --watch --into {shlex.quote(shared)}`" if shared else ""


def _mirrored_to(folder: Path) -> str:
    return f'use attach(model, mirror="{folder / "uploader-mirror"}")'
