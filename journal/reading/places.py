"""What a path is that a person named: a journal, a pack, a mirror, or nothing of ours. Nothing is created or opened."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal

from journal.locations import is_there
from journal.shared_addresses import shared_url

Place = Literal["journal", "pack", "mirror", "nothing"]

MIRROR_NOTE = "uploader-mirror.json"
"""The file that makes a folder a mirror."""
PACK_NOTE = "uploader-pack.json"
"""The first file in a pack, which is a zip archive."""

_ADDRESS = re.compile(r"([a-z][a-z0-9+]+)://?([^/].*)", re.IGNORECASE)
_ZIP_ENTRY = b"PK\x03\x04"
_NAME_AT = 30  # of an entry's name, in its header


def what_is(path: str | Path) -> Place:
    """Return what a path is; `postgresql://host/name` can only be a journal, any other address only a mirror.

    A journal is recognised by its database, even an unusable one: whoever opens it is told why. A folder that is both
    is a journal.
    """
    if address_of(path):
        return "mirror"
    place = Path(path)
    if is_there(place):
        return "journal"
    if _has(place, MIRROR_NOTE):
        return "mirror"
    return "pack" if _is_pack(place) else "nothing"


def address_of(path: str | Path) -> str | None:
    """Return the address of an object store that was given as a path, in which pathlib leaves one slash; else None."""
    if shared_url(path):
        return None
    found = _ADDRESS.match(str(path))
    return f"{found[1]}://{found[2]}" if found else None


def around(path: str | Path) -> tuple[Place, Path] | None:
    """Return the journal or the mirror that a path is, or is in at any depth, and what it is; links are followed."""
    real = Path(os.path.realpath(path))  # it never raises
    found = ((what_is(folder), folder) for folder in (real, *real.parents))
    return next((one for one in found if one[0] in {"journal", "mirror"}), None)


def what_else(path: Path) -> str:
    """Return what a person may do about a path that is no journal."""
    what = what_is(address_of(path) or path)
    if what in {"pack", "mirror"}:
        return f"it is a {what}: `drain` delivers what it has, and `unpack` brings it into a journal"
    return "name the folder that holds `journal.db`"


def _has(folder: Path, name: str) -> bool:
    try:
        return (folder / name).is_file()
    except OSError:
        return False


def _is_pack(file: Path) -> bool:
    """Return whether a file begins as a pack does, even if it is torn further on."""
    expected = PACK_NOTE.encode("ascii")
    try:
        if not file.is_file():  # to open a FIFO would wait for whoever writes to it
            return False
        with file.open("rb") as reader:
            head = reader.read(_NAME_AT + len(expected))
    except OSError:
        return False
    return head.startswith(_ZIP_ENTRY) and head[_NAME_AT:] == expected
