"""Where a shared journal keeps its checkpoints: one of its facts, which is decided once."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, select

from journal.errors import BlobsRefused
from journal.object_stores.object_addresses import checked_address, needed, scheme_of
from journal.schema import tables
from journal.schema.neutral import upsert
from journal.shared_blobs.shared_folder import SharedFolder
from journal.shared_blobs.shared_store import BlobPlace

FACT = "blobs"
"""Name of the fact. Its value never holds credentials, which come from the environment."""
_WHAT = "the place of checkpoints"


def checked_place(place: str | Path) -> str:
    """Return a place in its usual form.

    Args:
        place: An absolute folder, or a URL such as `s3://bucket/folder`.

    Raises:
        ValueError: It cannot be one.
    """
    text = str(place)
    if scheme_of(text):
        return checked_address(text, _WHAT)
    if not Path(text).is_absolute():
        raise ValueError(f"{_WHAT} is an absolute folder, the same on all machines, or s3://bucket/folder; not {text}")
    return str(Path(text))


def open_place(place: str, journal: str | None) -> BlobPlace:
    """Return what keeps the checkpoints there; nothing is sent yet.

    Args:
        place: From `checked_place`.
        journal: The journal's uuid.

    Raises:
        BlobsUnavailable: It cannot be used on this machine.
    """
    if not scheme_of(place):
        return SharedFolder(Path(place), journal)
    try:
        from journal.shared_blobs.object_blobs import ObjectBlobs  # the library is not everybody's
    except ImportError as error:
        raise BlobsRefused(f"{place} cannot be used here: {needed(_WHAT)}") from error
    return ObjectBlobs(place, journal)


def place_of(connection: Connection) -> str | None:
    """Return where the journal keeps its checkpoints; None if that is not decided."""
    place: str | None = connection.execute(
        select(tables.facts.c.value).where(tables.facts.c.name == FACT)
    ).scalar_one_or_none()
    return place


def decide(connection: Connection, place: str) -> str:
    """Decide where the journal keeps its checkpoints, unless that is decided; return where that is."""
    row = upsert(tables.facts).values(name=FACT, value=place)
    connection.execute(row.on_conflict_do_nothing(index_elements=["name"]))
    return place_of(connection) or place
