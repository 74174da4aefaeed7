"""Events that no journal could take: lines of JSON in a file of their own, taken in by the next drain.

A file's first line says whose it is: the journal's path, the run, the session. Each further line is an event, fsynced
before `append` returns. `ingest` remembers in the journal how many lines it took, so that taking a file in again, or
while its process still writes, changes nothing and loses nothing.
"""

from __future__ import annotations

import json
import os
import platform
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert, select
from sqlalchemy.dialects.sqlite import insert as upsert

from journal import tables
from journal.clock import now_text
from journal.encoding import encode
from journal.errors import JournalUnwritable
from journal.liveness import boot_id, is_dead
from journal.records import Run


@dataclass(frozen=True)
class Header:
    """Whose events a fallback file holds.

    Attributes:
        journal: The journal folder they were meant for, absolute.
        run: The run.
        session_id: The session in that journal, or None when not even that could be written.
        pid: The writing process.
        host: Its machine.
        boot_id: Its machine's boot.
        started_at: When the file was begun.
    """

    journal: str
    run: Run
    session_id: int | None
    pid: int
    host: str
    boot_id: str
    started_at: str


class FallbackFile:
    """The fallback file of one session, made when it is first needed."""

    def __init__(self, folders: Iterable[Path], journal: Path, run: Run, session_id: int | None) -> None:
        """Take notice of where and whose; nothing is written yet."""
        self._folders = list(folders)
        self._header = Header(
            str(journal.absolute()), run, session_id, os.getpid(), platform.node(), boot_id(), now_text()
        )
        self._descriptor: int | None = None
        self.path: Path | None = None

    def append(self, kind: str, payload: Mapping[str, Any], key: str = "") -> None:
        """Write one event durably.

        Raises:
            JournalUnwritable: None of the folders takes a file.
        """
        if self._descriptor is None:
            self._create()
        event = {"kind": kind, "key": key, "payload": json.loads(encode(payload)), "created_at": now_text()}
        self._write(event)

    def close(self) -> None:
        """Close the file; it stays until a drain has taken it in."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _create(self) -> None:
        failures = []
        for folder in self._folders:
            path = folder / f"{uuid.uuid4().hex}.jsonl"
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
                self.path = path
                return self._write(asdict(self._header))
            except OSError as error:
                failures.append(f"{path} ({error.strerror})")
        raise JournalUnwritable(f"no fallback file can be written: {', '.join(failures)}")

    def _write(self, line: Mapping[str, Any]) -> None:
        assert self._descriptor is not None
        try:
            os.write(self._descriptor, (json.dumps(line, separators=(",", ":")) + "\n").encode())
            os.fsync(self._descriptor)
        except OSError as error:
            raise JournalUnwritable(f"{self.path} cannot be written ({error.strerror})") from error


def ingest(connection: Connection, journal: Path, folders: Iterable[Path]) -> tuple[int, list[Path]]:
    """Take in the events of every fallback file that was meant for this journal, in the caller's transaction.

    Args:
        connection: In a write transaction.
        journal: The journal's folder.
        folders: Where fallback files may be.

    Returns:
        How many events were new, and the files that may be deleted once the transaction is committed: whole, and
        of a process that is gone.
    """
    taken, done = 0, []
    for path in sorted(path for folder in folders if _is_ours(folder) for path in folder.glob("*.jsonl")):
        header, events = _read(path)
        if header is None or Path(header.journal) != journal.absolute():
            continue
        taken += _take_in(connection, path.name, header, events)
        if is_dead(header.host, header.boot_id, header.pid):
            done.append(path)
    return taken, done


def _is_ours(folder: Path) -> bool:
    """Return whether the folder is there and this user's: under a shared temporary folder it might be a stranger's."""
    try:
        return os.name == "nt" or folder.lstat().st_uid == os.getuid()
    except OSError:
        return False


def _read(path: Path) -> tuple[Header | None, list[dict[str, Any]]]:
    """Return header and events; a last line without its end is still being written, or was torn."""
    lines = path.read_text("utf-8", errors="replace").split("\n")[:-1]
    try:
        first = json.loads(lines[0])
        header = Header(**{**first, "run": Run(**first["run"])})
        return header, [json.loads(line) for line in lines[1:]]
    except (IndexError, KeyError, TypeError, ValueError):
        return None, []


def _take_in(connection: Connection, name: str, header: Header, events: list[dict[str, Any]]) -> int:
    table = tables.fallback_imports
    known = connection.execute(select(table).where(table.c.name == name)).first()
    new = events[known.lines if known else 0 :]
    connection.execute(upsert(tables.runs).values(vars(header.run)).on_conflict_do_nothing())
    session_id = known.session_id if known else header.session_id or _new_session(connection, header)
    for event in new:
        row = {
            **event,
            "payload": encode(event["payload"]),
            "run_id": header.run.id,
            "session_id": session_id,
        }
        connection.execute(insert(tables.events).values(row))
    progress = {"lines": len(events), "updated_at": now_text()}
    connection.execute(
        upsert(table)
        .values(name=name, session_id=session_id, **progress)
        .on_conflict_do_update(index_elements=["name"], set_=progress)
    )
    return len(new)


def _new_session(connection: Connection, header: Header) -> int:
    row = {
        "run_id": header.run.id,
        "pid": header.pid,
        "host": header.host,
        "boot_id": header.boot_id,
        "started_at": header.started_at,
        "heartbeat_at": header.started_at,
    }
    return int(connection.execute(insert(tables.sessions).values(row)).lastrowid)
