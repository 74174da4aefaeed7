"""Tells what a file of a run is, by its name, and that it lies in the run's folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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

    def __init__(self, folder: Path, within: Path | None = None) -> None:
        """Take where files lie.

        Args:
            folder: What names are relative to.
            within: The run's folder, if that is another one.
        """
        self._folder = folder
        self._within = within or folder
        self._found: dict[str, RunFile] = {}
        self._missing: dict[str, None] = {}
        self._linked: dict[str, Path] = {}

    def add(self, name: str, step: int | None = None) -> None:
        """Add a file by its name in the folder."""
        parts = PurePosixPath(name)
        path = self._folder / parts
        if parts.is_absolute() or ".." in parts.parts or not path.is_file():
            self._missing[name] = None
        elif not _is_within(path, self._within):
            self._linked[name] = path
        elif step is not None or name not in self._found:
            self._found[name] = run_file(path, step)

    def files(self) -> tuple[RunFile, ...]:
        """Return those that are there."""
        return tuple(self._found.values())

    def problems(self) -> list[Problem]:
        """Return what is not there, in a line, and what is elsewhere, in another."""
        found = _linked_out(self._linked)
        if self._missing:
            why = f"named by the run, but not in its folder {self._folder.name}"
            found.append(Problem(shown_names(self._missing), why))
        return found


def shown_names(names: Iterable[str]) -> str:
    """Return the first names of many, and how many more there are."""
    known = list(names)
    further = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return ", ".join(known[:_SHOWN]) + further


def files_below(folder: Path, within: Path, problems: list[Problem]) -> list[Path]:
    """Return the files in a folder and below in an order that does not depend on the file system.

    Args:
        folder: Theirs.
        within: The run's folder: a link that leads out of it is not followed.
        problems: Gets such links.
    """
    found = [path for path in sorted(folder.rglob("*")) if path.is_file()] if folder.is_dir() else []
    linked = {path.relative_to(folder).as_posix(): path for path in found if not _is_within(path, within)}
    problems += _linked_out(linked)
    return [path for path in found if path not in linked.values()]


def _is_within(path: Path, folder: Path) -> bool:
    """Return whether a file lies in a folder, wherever links lead to."""
    return path.resolve().is_relative_to(folder.resolve())


def _linked_out(linked: Mapping[str, Path]) -> list[Problem]:
    if not linked:
        return []
    where = next(iter(linked.values())).resolve()
    why = f"not taken in: a link leads out of the run's folder, to {where}; put the file in its place and import again"
    return [Problem(shown_names(linked), why)]
