"""The run file: a small file in a run's folder that identifies the run."""

from __future__ import annotations

import json
import logging
import uuid
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from journal.checkpoints.salvage import RUN_FILE
from journal.records import Run
from journal.sessions.identity import UNKNOWN, Newest, Session

LOGGER = logging.getLogger("uploader")

_MOST = 1 << 22
"""The number by which a run's events are ordered has no room for more generations."""


class StepsNoted(NamedTuple):
    """The steps of a loop as its run file notes them, at checkpoints and at the end.

    Attributes:
        following: The number of the next one, or a lower one.
        is_over: Whether the session has ended, so that it is the next one.
    """

    following: int = 0
    is_over: bool = False


@dataclass(frozen=True)
class KnownRun:
    """What is known of a run when it is resumed, usually from its run file.

    Attributes:
        run: Uuid of the run.
        newest: The session that wrote the file.
        begun_at: When the run began, as an ISO time; "" if an earlier version wrote the file.
        is_complete: Whether the run was finished.
        folder: Where the file was written; "" if an earlier version wrote it. If that is not `found`, the folder was
            moved or copied.
        found: Where the file is now.
        chunks: An id that the session's console chunks are unlikely to exceed.
        ancestors: Uuids of the sessions that led to that session, oldest first.
        journal: Folder of that session's journal; "" if that is not known.
        project: Slug of the run's project; "" for none, or if that is not known.
        name: Slug of its name; "" if that is not known.
        steps: How these stand, as far as the file tells.
    """

    run: str
    newest: Newest = UNKNOWN
    begun_at: str = ""
    is_complete: bool = False
    folder: str = ""
    found: Path | None = None
    chunks: int = 0
    ancestors: tuple[str, ...] = ()
    journal: str = ""
    project: str = ""
    name: str = ""
    steps: StepsNoted = field(default_factory=StepsNoted)

    @classmethod
    def read(cls, folder: Path) -> KnownRun | None:
        """Read a folder's run file; return None when there is none, or it is not valid."""
        try:
            content = json.loads((folder / RUN_FILE).read_text("utf-8"))
            known = cls(
                str(uuid.UUID(str(content["run"]))),
                Newest(
                    int(content.get("generation") or 0), str(content["session"]) if content.get("session") else None
                ),
                str(content.get("begunAt") or ""),
                content.get("complete") is True,
                str(content.get("folder") or ""),
                folder,
                int(content.get("chunks") or 0),
                tuple(str(uuid.UUID(each)) for each in content.get("ancestors") or ()),
                journal=str(content.get("journal") or ""),
                project=str(content.get("project") or ""),
                name=str(content.get("name") or ""),
                steps=StepsNoted(int(content.get("steps") or 0), content.get("over") is True),
            )
            return known if _is_sound(known) else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
            return None


def journal_of(folder: Path) -> Path | None:
    """Return the journal that a folder's run file names; None when there is no such file, or it names none."""
    try:
        named = json.loads((folder / RUN_FILE).read_text("utf-8"))["journal"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return Path(named) if isinstance(named, str) and named and "\0" not in named else None


def _is_sound(known: KnownRun) -> bool:
    """Return whether the values of a run file, which somebody may have edited, can be used.

    Raises:
        ValueError: A text cannot be stored, or the session's uuid is not a uuid.
    """
    for text in (known.begun_at, known.folder, known.journal, known.project, known.name):
        text.encode()
    if known.newest.uuid is not None:
        uuid.UUID(known.newest.uuid)
    if "\0" in known.journal or not 0 <= known.steps.following < 1 << 53:
        return False
    return "\0" not in known.folder and 0 <= known.newest.generation < _MOST and 0 <= known.chunks < 1 << 53


def write_run_file(
    save_dir: Path,
    run: Run,
    session: Session,
    *,
    journal: Path,
    begun_at: str,
    chunks: int,
    is_complete: bool,
    steps: StepsNoted = StepsNoted(),  # noqa: B008 - it cannot change
) -> None:
    """Write the run file, under a temporary name first, so that it is never incomplete.

    Args:
        save_dir: The folder that is trained into.
        run: The run.
        session: The session that trains it.
        journal: The folder of the session's journal.
        begun_at: When the run began, as an ISO time.
        chunks: An id that the session's console chunks are unlikely to exceed.
        is_complete: Whether the run is finished.
        steps: Those of a loop.
    """
    content = {
        "run": run.id,
        "journal": str(journal.absolute()),
        "folder": str(save_dir),
        "begunAt": begun_at,
        "complete": is_complete,
        "session": session.uuid,
        "generation": session.generation,
        "chunks": chunks,
        "ancestors": list(session.ancestors),
        "project": run.project,
        "name": run.name,
        "steps": steps.following,
        "over": steps.is_over,
    }
    temporary = save_dir / f".{RUN_FILE}.tmp"
    try:
        temporary.write_text(json.dumps(content), "utf-8")
        temporary.replace(save_dir / RUN_FILE)
    except OSError as error:
        _warn(save_dir, error.strerror)


@lru_cache(maxsize=64)
def _warn(_folder: Path, why: str | None) -> None:
    """Warn once of each folder: a loop writes at each checkpoint."""
    LOGGER.warning("%s cannot be written (%s); a resume finds the run by its folder", RUN_FILE, why)
