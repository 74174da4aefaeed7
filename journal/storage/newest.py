"""Whether a database is the newest of its journal, or an older copy that was put in its place without a log.

A drain that has delivered something gives a new mark to the journal (`facts`) and to a file beside it. An older copy
has another mark, or none, whatever is written to it later; what is rebuilt from the newest one (`VACUUM`,
`.backup`) has the same. An older copy is never given the mark: so it stays one, and the newest file is right as soon
as it is back.

The journal has two marks, the one beside it and the next, which is committed first: a drain that is killed between the
two steps leaves a journal that is known by the first.
"""

from __future__ import annotations

import os
import uuid
from contextlib import suppress
from pathlib import Path

from journal.disk import give_to_owner_of, sync_folder
from journal.storage import log_base

NEWEST = "newest"
"""The fact that holds a journal's marks."""
_NOTE = "journal.db-newest"


def is_older(database: Path, marks: str | None) -> bool:
    """Return whether a database with these marks is an older copy; False if that cannot be determined."""
    beside = _noted(database)
    if not beside or beside in (marks or "").split():
        return False
    if not beside.isdigit():
        return True
    with suppress(OSError):  # an earlier version noted the change counter
        return log_base.number(database) < int(beside)
    return False


def next_marks(database: Path) -> tuple[str, str]:
    """Return the marks that the newest database is to have next, and which of them is to be noted then."""
    mark = str(uuid.uuid4())
    return f"{_noted(database)} {mark}".lstrip(), mark


def note(database: Path, mark: str) -> None:
    """Store a mark beside the database, durably: the journal's next ones are based on it."""
    with suppress(OSError):
        draft = database.with_name(f"{_NOTE}.tmp")
        draft.touch(mode=0o600)
        give_to_owner_of(draft, database.parent)
        with draft.open("w", encoding="ascii") as file:
            file.write(f"{mark}\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(database.with_name(_NOTE))
        sync_folder(database.parent)


def _noted(database: Path) -> str:
    """Return the mark beside a database, or the number that an earlier version noted; "" if none can be read."""
    with suppress(OSError, ValueError):
        beside = database.with_name(_NOTE).read_text(encoding="ascii").strip()
        return beside if beside.isdigit() else str(uuid.UUID(beside))
    return ""
