"""Where a mirror is, as people name it: a folder, or the URL of an object store."""

from __future__ import annotations

import os
from pathlib import Path

from journal.errors import MirrorUnavailable
from journal.locations import expanded
from journal.mirror.stores import FolderStore, Store
from journal.object_stores.object_addresses import checked_address, needed, scheme_of
from journal.reading.places import MIRROR_NOTE


def checked_mirror(mirror: str | Path) -> str:
    """Return a mirror's address: of a folder, which need not exist, the absolute path; of an object store, its URL.

    Raises:
        ValueError: It cannot be one.
    """
    text = str(mirror)
    scheme = scheme_of(text)
    if scheme == "file":
        return checked_mirror(text.partition("://")[2])
    if scheme:
        return checked_address(text, "a mirror")
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
    if not scheme_of(address) and mirror.is_relative_to(folder):
        raise ValueError(
            f"the mirror {address} is in the journal {journal} itself, and would be lost with it; name another folder"
        )


def open_store(address: str) -> Store:
    """Return the store at an address.

    Raises:
        MirrorUnavailable: It cannot be used on this machine.
    """
    if not scheme_of(address):
        return FolderStore(Path(address))
    try:
        from journal.mirror.object_store import ObjectStore
    except ImportError as error:
        raise MirrorUnavailable(f"{address} cannot be used here: {needed('a mirror')}") from error
    return ObjectStore(address)


def open_mirror(address: str) -> Store:
    """Return the store of a mirror that is there.

    Raises:
        MirrorUnavailable: None is there, or it cannot be used on this machine.
    """
    store = open_store(address)
    if store.get(MIRROR_NOTE) is None:
        hint = "check the address" if scheme_of(address) else "is the drive mounted?"
        raise MirrorUnavailable(f"there is no mirror in {address}, as it has no {MIRROR_NOTE}; {hint}")
    return store
