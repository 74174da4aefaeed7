"""Where a mirror is, as people name it: a folder, or the URL of an object store."""

from __future__ import annotations

import os
import re
from importlib.util import find_spec
from pathlib import Path

from journal.errors import MirrorUnavailable
from journal.locations import expanded
from journal.mirror.stores import FolderStore, Store
from journal.reading.places import MIRROR_NOTE

_URL = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_NEEDED = "a mirror in an object store needs obstore: pip install 'offline-uploader[mirror]'"
OBJECT_STORES = ("s3", "gs", "az")


def checked_mirror(mirror: str | Path) -> str:
    """Return a mirror's address: of a folder, which need not exist, the absolute path; of an object store, its URL.

    Raises:
        ValueError: It cannot be one.
    """
    text = str(mirror)
    if scheme := _URL.match(text):
        return _checked_url(text, scheme[1].lower())
    folder = expanded(text)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"a mirror is a folder, or an address such as s3://bucket/folder; {folder} is a file")
    return str(folder)


def require_outside(address: str, journal: Path) -> None:
    """Check that a mirror is not lost with its journal.

    Args:
        address: The mirror's, from `checked_mirror`.
        journal: The journal's folder.

    Raises:
        ValueError: It is the journal's folder, or inside it.
    """
    folder, mirror = Path(os.path.realpath(journal)), Path(os.path.realpath(address))  # these never raise
    if not _URL.match(address) and mirror.is_relative_to(folder):
        raise ValueError(
            f"the mirror {address} is in the journal {journal} itself, and would be lost with it; name another folder"
        )


def open_store(address: str) -> Store:
    """Return the store at an address.

    Raises:
        MirrorUnavailable: It cannot be used on this machine.
    """
    if not _URL.match(address):
        return FolderStore(Path(address))
    try:
        from journal.mirror.object_store import ObjectStore
    except ImportError as error:
        raise MirrorUnavailable(f"{address} cannot be used here: {_NEEDED}") from error
    return ObjectStore(address)


def open_mirror(address: str) -> Store:
    """Return the store of a mirror that is there.

    Raises:
        MirrorUnavailable: None is there, or it cannot be used on this machine.
    """
    store = open_store(address)
    if store.get(MIRROR_NOTE) is None:
        hint = "check the address" if _URL.match(address) else "is the drive mounted?"
        raise MirrorUnavailable(f"there is no mirror in {address}, as it has no {MIRROR_NOTE}; {hint}")
    return store


def _checked_url(text: str, scheme: str) -> str:
    if scheme == "file":
        return checked_mirror(text.partition("://")[2])
    if scheme not in OBJECT_STORES:
        raise ValueError(f"a mirror is a folder, or begins with {', '.join(f'{one}://' for one in OBJECT_STORES)}")
    if "@" in text or "?" in text:
        raise ValueError("credentials do not belong into a mirror's address; they are taken from the environment")
    if find_spec("obstore") is None:
        raise ValueError(_NEEDED)
    return text.rstrip("/")
