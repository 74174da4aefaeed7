"""Tells what a file of a run is, by its name, and that it lies in the run's folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

from journal.kinds import BEST, LAST
from uploader.importing.imported_run import IMAGE, OTHER, Problem, RunFile

_WEIGHTS = frozenset({".pt", ".pth", ".ckpt", ".safetensors", ".h5", ".keras"})
_IMAGES = frozenset({".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp"})
_SHOWN = 3
"""So many names stand in a problem."""


def run_file(path: Path, step: int | None = None, name: str = "") -> RunFile:
    """Return a file with its role: weights, an image, or another.

    Args:
        path: Where it is.
        step: The step that it belongs to, if something tells.
        name: What an image was logged as; "" for its file's name.
    """
    suffix = path.suffix.lower()
    if suffix in _WEIGHTS:
        return RunFile(path, BEST if "best" in path.stem.lower() else LAST, step)
    return RunFile(path, IMAGE if suffix in _IMAGES else OTHER, step, name=name)


def images_in(folder: Path, problems: list[Problem]) -> list[RunFile]:
    """Return the images in a folder, and not below, in an order that does not depend on the file system.

    Args:
        folder: Theirs.
        problems: Gets links that lead out of it.
    """
    try:
        found = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in _IMAGES and path.is_file()]
    except OSError:
        return []
    return [run_file(path) for path in _without_links_out(found, folder, folder, problems)]


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
        self._found: dict[str, dict[tuple[str, int | None], RunFile]] = {}
        self._missing: dict[str, None] = {}
        self._linked: dict[str, Path] = {}

    def add(self, name: str, step: int | None = None, *, logged_as: str = "", is_shown: bool = True) -> None:
        """Add a file.

        Args:
            name: Its name in the folder.
            step: The step that it belongs to, if something tells.
            logged_as: What it was logged as, if something tells.
            is_shown: Whether an image in it shows something by itself, and is no mask of another one.
        """
        parts = PurePosixPath(name)
        path = self._folder / parts
        if parts.is_absolute() or ".." in parts.parts or not path.is_file():
            self._missing[name] = None
        elif not _is_within(path, self._within):
            self._linked[name] = path
        else:
            file = run_file(path, step, logged_as or name)
            role = file.role if is_shown or file.role != IMAGE else OTHER
            self._found.setdefault(name, {})[logged_as, step] = replace(file, role=role)

    def knows(self, name: str) -> bool:
        """Return whether a file was added, as whatever it was logged."""
        return any(name in known for known in (self._found, self._missing, self._linked))

    def files(self) -> tuple[RunFile, ...]:
        """Return those that are there; a file that was logged, as what it was logged, and not a second time."""
        return tuple(
            file
            for found in self._found.values()
            for (logged_as, step), file in found.items()
            if logged_as or step is not None or len(found) == 1
        )

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
    return _without_links_out(found, folder, within, problems)


def _without_links_out(found: list[Path], folder: Path, within: Path, problems: list[Problem]) -> list[Path]:
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
