"""Whether a log belongs to the database beside it, or the database was overwritten by an older copy.

SQLite pairs the two by name: if an older `journal.db` is copied over the file in place, beside a log that was begun on
a newer one, it reads both as one database. The result is damaged or a mixture, and stays so once the log is folded
back.

Each commit that touches a database's first page counts up a number in that page, and a log is begun anew only when all
of the one before is in the database. So the database has at least one less than what the log's first such page has;
else it is older than what the log was begun on (https://sqlite.org/fileformat2.html, "File change counter" and "The
Write-Ahead Log"). Every fold makes such a commit (`folding.py`).
"""

from __future__ import annotations

import os
import struct
from contextlib import suppress
from pathlib import Path

from journal.storage import descriptors
from journal.storage.log_flush import log_of

_COUNTER = 24  # where it is in the first page
_LOG = struct.Struct(">I4xI4x2I8x")
_FRAME = struct.Struct(">I4x2I8x")
_MAGIC = 0x377F0682  # or one more: the order of bytes in checksums


def is_overwritten(database: Path) -> bool:
    """Return whether a database is older than what its log was begun on; False where that cannot be told.

    This is correct whatever others do meanwhile: the log is read first, and the database's number never decreases.
    """
    with suppress(OSError, struct.error):
        first = _first_in_log(log_of(database))
        return first is not None and number(database) < first - 1
    return False


def number(database: Path) -> int:
    """Return the number in a database's first page.

    Raises:
        OSError: It cannot be read.
    """
    with descriptors.reading(database) as descriptor:
        return _number(descriptors.read_at(descriptor, 4, _COUNTER))


def _first_in_log(log: Path) -> int | None:
    """Return the number in the first copy of the first page in a log, None where none is in it."""
    with log.open("rb", buffering=0) as file:  # no lock of SQLite's is on the log
        magic, size, *salts = _LOG.unpack(file.read(_LOG.size))
        if magic | 1 != _MAGIC | 1:
            return None
        place = _LOG.size
        while len(head := os.pread(file.fileno(), _FRAME.size, place)) == _FRAME.size:
            page, *marks = _FRAME.unpack(head)
            if marks != salts:  # of a log before this one, or room that was made
                return None
            if page == 1:
                return _number(os.pread(file.fileno(), 4, place + _FRAME.size + _COUNTER))
            place += _FRAME.size + (65536 if size == 1 else size)
    return None


def _number(found: bytes) -> int:
    """Return a number; a file that is being overwritten may have none yet."""
    return int.from_bytes(found.ljust(4, b"\0"), "big")
