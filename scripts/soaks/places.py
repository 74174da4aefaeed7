"""Where suites work, and where they leave what they find."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from soaks.ledger import Tally
from soaks.network_tally import NetworkTally

_MEMORY = Path("/dev/shm")


@contextmanager
def scratch() -> Iterator[Path]:
    """Make a folder, in memory where there is such a place, and remove it at the end.

    Memory forgets nothing when a process is killed, and what a power cut takes is decided by the file system in the
    loop device, wherever its image lies.
    """
    with TemporaryDirectory(prefix="soak-", dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
        yield Path(folder)


def keep_when_found(tally: Tally | NetworkTally, folder: Path, kept: Path) -> None:
    """Copy a folder out of the scratch when something was found in it, and say where it is."""
    if tally.notes:
        shutil.copytree(folder, kept, dirs_exist_ok=True)
        tally.notes.append(f"kept in {kept}")
