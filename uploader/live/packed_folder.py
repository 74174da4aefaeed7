"""A checkpoint that is a folder, as one file: frameworks save weights, optimizer and configuration side by side."""

from __future__ import annotations

import tarfile
from functools import partial
from pathlib import Path


def pack(folder: Path, into: Path) -> Path:
    """Return a tar archive of a folder, in the place of an earlier one; it is whole, or as it was.

    Links become what they lead to, as a checkpoint may be linked together from a cache of weights. Archives that stand
    beside this one are left out, where the folder has them in it.

    Args:
        folder: What is packed, under its name.
        into: The archive's name.

    Raises:
        OSError: It could not be read or written.
    """
    into.parent.mkdir(parents=True, exist_ok=True)
    whole = folder.resolve()
    part = into.with_name(f"{into.name}.part")
    try:
        with tarfile.open(part, "w", dereference=True) as archive:
            archive.add(whole, arcname=whole.name, filter=partial(_unless_beside, into.parent.resolve(), whole.parent))
        part.replace(into)
    finally:
        part.unlink(missing_ok=True)
    return into


def _unless_beside(archives: Path, above: Path, member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    path = above / member.name
    return None if path.parent == archives and path.suffix in {".tar", ".part"} else member
