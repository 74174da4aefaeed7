"""Folders that suites work in, and that they leave findings in."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

_MEMORY = Path("/dev/shm")


class _Found(Protocol):
    """Figures with their findings."""

    notes: list[str]


@contextmanager
def scratch() -> Iterator[Path]:
    """Create a temporary folder, in memory if possible, and remove it at the end.

    Memory loses nothing when a process is killed, and what a power cut loses is decided by the file system in the loop
    device, wherever its image is.
    """
    with TemporaryDirectory(prefix="soak-", dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
        yield Path(folder)


def keep_when_found(tally: _Found, folder: Path, kept: Path) -> None:
    """Copy a folder out of the temporary one if it has findings, and print where it is."""
    if tally.notes:
        shutil.copytree(folder, kept, dirs_exist_ok=True)
        tally.notes.append(f"kept in {kept}")
