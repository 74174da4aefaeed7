"""Which event files of TensorBoard belong to one run: decided by their names, which tell what process wrote them."""

from __future__ import annotations

import re
from pathlib import Path

_NAME = re.compile(r"events\.out\.tfevents\.(?P<time>\d+)\.(?P<host>.+?)(?:\.(?P<pid>\d+)\.\d+(?:\.v2)?)?$")
_TRAINED, _CHECKED = "train", ("eval", "test", "val", "validation")
"""Folders beside each other that one process writes what it trains and what it checks to, as Keras does."""


def event_files(folder: Path) -> list[Path]:
    """Return the event files of a folder, oldest first; none if it cannot be read."""
    try:
        found = [each for each in folder.glob("*tfevents*") if _NAME.search(each.name) and each.is_file()]
    except OSError:
        return []
    return sorted(found, key=lambda each: (_parts(each)[0], each.name))


def is_run(folder: Path) -> bool:
    """Return whether a folder is that of a run, and not a part of the one above."""
    if not event_files(folder):
        return bool(_sides(folder))
    return folder not in _sides(folder.parent) and not _writers(folder) & _writers(folder.parent)


def parts_of(folder: Path) -> list[Path]:
    """Return the folders of a run: its own, and those that its process made there: `add_scalars` and others do."""
    if not event_files(folder):
        return _sides(folder)
    try:
        below = sorted(each for each in folder.iterdir() if each.is_dir() and not each.is_symlink())
    except OSError:
        below = []
    return [folder, *(each for each in below if _writers(each) & _writers(folder))]


def _sides(folder: Path) -> list[Path]:
    """Return the folders that hold the two sides of one run, where nothing is in the one above."""
    writers = _writers(folder / _TRAINED)
    checked = [folder / name for name in _CHECKED if writers & _writers(folder / name)]
    return [folder / _TRAINED, *checked] if checked and not event_files(folder) else []


def _writers(folder: Path) -> set[tuple[str, str]]:
    return {(host, pid) for _, host, pid in map(_parts, event_files(folder)) if pid}


def _parts(file: Path) -> tuple[int, str, str]:
    """Return when a file was begun, and the machine and process that wrote it."""
    found = _NAME.search(file.name)
    assert found is not None
    return int(found["time"]), found["host"], found["pid"] or ""
