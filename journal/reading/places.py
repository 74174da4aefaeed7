"""What a path is that a person named: a journal, a pack, a mirror, or nothing of ours. Nothing is created or opened."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from journal.reading.beside import is_there

Place = Literal["journal", "pack", "mirror", "nothing"]

MIRROR_NOTE = "uploader-mirror.json"
"""The file that makes a folder a mirror."""
PACK_NOTE = "uploader-pack.json"
"""The first file in a pack, which is a zip archive."""

_ZIP_ENTRY = b"PK\x03\x04"
_NAME_AT = 30  # of an entry's name, in its header


def what_is(path: str | Path) -> Place:
    """Return what a path is; an address such as `s3://bucket/name` can only be a mirror.

    A journal is recognised by its database, even an unusable one: whoever opens it is told why. A folder that is both
    is a journal.
    """
    if "://" in str(path):
        return "mirror"
    place = Path(path)
    if is_there(place):
        return "journal"
    if _has(place, MIRROR_NOTE):
        return "mirror"
    return "pack" if _is_pack(place) else "nothing"


def _has(folder: Path, name: str) -> bool:
    try:
        return (folder / name).is_file()
    except OSError:
        return False


def _is_pack(file: Path) -> bool:
    """Return whether a file begins as a pack does, even if it is torn further on."""
    expected = PACK_NOTE.encode("ascii")
    try:
        with file.open("rb") as reader:
            head = reader.read(_NAME_AT + len(expected))
    except OSError:
        return False
    return head.startswith(_ZIP_ENTRY) and head[_NAME_AT:] == expected
