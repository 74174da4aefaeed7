"""Tells what a file of a run is, by its name, and that it lies in the run's folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from journal.kinds import BEST, LAST
from uploader.importing.imported_run import Problem, RunFile

_WEIGHTS = frozenset({".pt", ".pth", ".ckpt", ".safetensors", ".h5", ".keras"})
_IMAGES = frozenset({".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp"})
_SHOWN = 3
"""So many names stand in a problem."""


def run_file(path: Path, step: int | None = None) -> RunFile:
    """Return a file with its role: weights, an image, or another."""
    suffix = path.suffix.lower()
    if suffix in _WEIGHTS:
        return RunFile(path, BEST if "best" in path.stem.lower() else LAST, step)
    return RunFile(path, "image" if suffix in _IMAGES else "other", step)


class NamedFiles:
    """The files that a run names. Only those in its folder are taken: what a record says may be anybody's file."""

    def __init__(self, folder: Path) -> None:
        """Take the folder that names are relative to."""
        self._folder = folder
        self._found: dict[str, RunFile] = {}
        self._missing: dict[str, None] = {}

    def add(self, name: str, step: int | None = None) -> None:
        """Add a file by its name in the folder."""
        parts = PurePosixPath(name)
        path = self._folder / parts
        if parts.is_absolute() or ".." in parts.parts or not path.is_file():
            self._missing[name] = None
        elif step is not None or name not in self._found:
            self._found[name] = run_file(path, step)

    def files(self) -> tuple[RunFile, ...]:
        """Return those that are there."""
        return tuple(self._found.values())

    def problems(self) -> list[Problem]:
        """Return what is not there, in a line."""
        if not self._missing:
            return []
        return [Problem(shown_names(self._missing), f"named by the run, but not in its folder {self._folder.name}")]


def shown_names(names: Iterable[str]) -> str:
    """Return the first names of many, and how many more there are."""
    known = list(names)
    further = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return ", ".join(known[:_SHOWN]) + further


def files_below(folder: Path) -> Iterator[Path]:
    """Yield the files in a folder and below in an order that does not depend on the file system."""
    if folder.is_dir():
        yield from (path for path in sorted(folder.rglob("*")) if path.is_file())
