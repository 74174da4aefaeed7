"""Finds the runs in folders and below them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from uploader.importing.imported_run import FoundRun
from uploader.importing.reader import Reader

_SKIPPED = frozenset({".git", ".venv", "__pycache__", "node_modules", "site-packages"})
"""Folders that hold many files and no runs."""


def find_runs(roots: Sequence[Path], readers: Sequence[Reader]) -> Iterator[FoundRun]:
    """Yield the runs in folders and below, each once, in an order that does not depend on the file system.

    A folder that several links lead to, or that was named as well as one above it, is looked at once. A run with
    several folders is found in each of them.
    """
    seen: set[str] = set()
    told: set[tuple[str, str, str]] = set()
    for root in roots:
        for found in _below(root, readers, seen):
            run = (found.source, os.path.realpath(found.place), found.within)
            if run not in told:
                told.add(run)
                yield found


def _below(folder: Path, readers: Sequence[Reader], seen: set[str]) -> Iterator[FoundRun]:
    place = os.path.realpath(folder)
    if place in seen:
        return
    seen.add(place)
    here = detected(folder, readers)
    yield from here
    if any(found.is_certain and found.is_whole_folder for found in here):
        return
    for each in _folders_in(folder):
        yield from _below(each, readers, seen)


def detected(folder: Path, readers: Sequence[Reader]) -> list[FoundRun]:
    """Return the runs of one folder; what only looks like one is left out where a reader is certain."""
    found = [each for reader in readers for each in reader.detect(folder)]
    is_any_certain = any(each.is_certain for each in found)
    return [each for each in found if each.is_certain or not is_any_certain]


def _folders_in(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            names = [each.name for each in entries if each.is_dir()]
    except OSError:
        return []
    return [folder / name for name in sorted(set(names) - _SKIPPED)]
