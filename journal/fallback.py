"""Events that no journal could take: lines of JSON in a file of their own, taken in by the next drain.

A file's first line says whose it is: the journal's path, the run, the session. Each further line is an event, fsynced
before `append` returns. `ingest` remembers in the journal how many lines it took, so that taking a file in again, or
while its process still writes, changes nothing and loses nothing. A line that a full disk tore counts as a line and is
passed over: its event was never acknowledged.
"""

from __future__ import annotations

import errno
import json
import os
import platform
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert, select
from sqlalchemy.dialects.sqlite import insert as upsert

from journal import tables
from journal.blobs import sync_folder, write_all
from journal.clock import from_text, now_text
from journal.encoding import encode, storable
from journal.errors import JournalUnwritable
from journal.liveness import boot_id, is_dead
from journal.payloads import fitted, left_out
from journal.records import GIVEN_UP, Run
from journal.routing import route

# What reading a line that this module did not write may raise; the last where it nests too deep.
_FOREIGN = (KeyError, TypeError, ValueError, RecursionError)


@dataclass(frozen=True)
class Header:
    """Whose events a fallback file holds.

    Attributes:
        journal: The journal folder they were meant for, absolute.
        run: The run.
        session_id: The session in that journal, or None when not even that could be written.
        routes: Name of the platform's API and base URL, for each destination that the run was given.
        pid: The writing process.
        host: Its machine.
        boot_id: Its machine's boot.
        started_at: When the file was begun.
    """

    journal: str
    run: Run
    session_id: int | None
    routes: Sequence[Sequence[str]]
    pid: int
    host: str
    boot_id: str
    started_at: str


class FallbackFile:
    """The fallback file of one session, made when it is first needed."""

    def __init__(
        self,
        folders: Iterable[Path],
        journal: Path,
        run: Run,
        *,
        session_id: int | None = None,
        routes: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Take notice of where and whose; nothing is written yet."""
        self._folders = list(folders)
        self._header = Header(
            str(journal.resolve()), run, session_id, routes, os.getpid(), platform.node(), boot_id(), now_text()
        )
        self._descriptor: int | None = None
        self._is_torn = False
        self.path: Path | None = None

    def append(self, kind: str, payload: Mapping[str, Any], key: str = "") -> None:
        """Write one event durably.

        Raises:
            JournalUnwritable: None of the folders takes a file, or the file takes no more.
        """
        if self._descriptor is None:
            self._create()
        text, losses = fitted(payload)
        if losses:
            self.append(GIVEN_UP, left_out(kind, key, losses), kind)
        event = {"kind": kind, "key": key, "payload": json.loads(text), "created_at": now_text()}
        try:
            self._write(event)
        except OSError as error:
            raise JournalUnwritable(f"{self.path} cannot be written ({error.strerror})") from error

    def close(self) -> None:
        """Close the file; it stays until a drain has taken it in."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _create(self) -> None:
        failures = []
        for folder in self._folders:
            try:
                return self._begin(folder)
            except OSError as error:
                failures.append(f"{folder} ({error.strerror})")
        raise JournalUnwritable(f"no fallback file can be written: {', '.join(failures)}")

    def _begin(self, folder: Path) -> None:
        """Make the file with its header; a file without one would belong to nobody."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_ours(folder):
            raise PermissionError(errno.EPERM, "it belongs to another user")
        self.path = folder / f"{uuid.uuid4().hex}.jsonl"
        self._descriptor = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
        try:
            self._write(asdict(self._header))
            sync_folder(folder)
        except OSError:
            self.close()
            self.path.unlink(missing_ok=True)
            self._is_torn = False
            raise

    def _write(self, line: Mapping[str, Any]) -> None:
        """Write and flush a line, after the end of one that was cut short."""
        assert self._descriptor is not None
        text = json.dumps(line, separators=(",", ":")) + "\n"
        start = "\n" if self._is_torn else ""
        self._is_torn = True
        write_all(self._descriptor, f"{start}{text}".encode())
        os.fsync(self._descriptor)
        self._is_torn = False


def ingest(connection: Connection, journal: Path, folders: Iterable[Path]) -> tuple[int, list[Path]]:
    """Take in the events of every fallback file that was meant for this journal, in the caller's transaction.

    Args:
        connection: In a write transaction.
        journal: The journal's folder.
        folders: Where fallback files may be.

    Returns:
        How many events were new, and the files that may be deleted once the transaction is committed: those of a
        process that is gone.
    """
    taken, done = 0, []
    for header, path in _files_for(journal.resolve(), folders):
        # Before its lines are read: what a process that is alive now writes until it dies would be deleted unread.
        is_over = is_dead(header.host, header.boot_id, header.pid)
        taken += _take_in(connection, path, header)
        if is_over:
            done.append(path)
    return taken, done


def _files_for(journal: Path, folders: Iterable[Path]) -> list[tuple[Header, Path]]:
    """Return the journal's fallback files in the order in which they were begun: a run's sessions follow each other."""
    found = [(header, path) for path in files(folders) if (header := read_header(path))]
    ours = [(header, path) for header, path in found if Path(header.journal) == journal]
    return sorted(ours, key=lambda one: one[0].started_at)


def files(folders: Iterable[Path]) -> list[Path]:
    """Return the fallback files in those of the folders that are this user's."""
    return sorted(path for folder in folders if _is_ours(folder) for path in folder.glob("*.jsonl"))


def by_journal(folders: Iterable[Path]) -> dict[str, list[Path]]:
    """Return the fallback files by the journal that they were meant for, "" where they do not say."""
    found: dict[str, list[Path]] = {}
    for path in files(folders):
        header = read_header(path)
        found.setdefault(header.journal if header else "", []).append(path)
    return found


def untaken(connection: Connection, journal: Path, folders: Iterable[Path]) -> list[Path]:
    """Return the fallback files that were meant for this journal and hold more than was taken in of them."""
    table = tables.fallback_imports
    taken = {row.name: row.lines for row in connection.execute(select(table.c.name, table.c.lines))}
    meant = by_journal(folders).get(str(journal.resolve()), [])
    return [path for path in meant if len(_lines(path)) - 1 > taken.get(path.name, -1)]


def read_header(path: Path) -> Header | None:
    """Return whose events a file holds, None when its first line does not say."""
    try:
        first = json.loads(_lines(path)[0])
        header = Header(**{**first, "run": Run(**first["run"])})
        return header if _is_sound(header) else None
    except (IndexError, *_FOREIGN):
        return None


def _is_sound(header: Header) -> bool:
    """Return whether the journal can take these values, and all who read them can tell what they mean.

    Raises:
        TypeError: Some are of another type.
        ValueError: Some cannot be stored, or are no times.
    """
    run, places = header.run, [text for platform_name, base_url in header.routes for text in (platform_name, base_url)]
    for text in (run.id, run.project or "", run.name, run.save_dir, header.host, header.boot_id, *places):
        str.encode(text)
    for moment in (run.created_at, header.started_at):
        from_text(moment)
    numbers = (header.pid, header.session_id or 0)
    return isinstance(header.journal, str) and all(isinstance(one, int) and 0 <= one < 1 << 31 for one in numbers)


def _is_ours(folder: Path) -> bool:
    """Return whether the folder is there and this user's: under a shared temporary folder it might be a stranger's."""
    try:
        return os.name == "nt" or folder.lstat().st_uid == os.getuid()
    except OSError:
        return False


def _lines(path: Path) -> list[bytes]:
    """Return the whole lines; a last one without its end is still being written, or was torn."""
    try:
        return path.read_bytes().split(b"\n")[:-1]
    except OSError:
        return []


def _event(line: bytes) -> dict[str, str] | None:
    """Return an event's columns, or None for a line that was torn or is none of ours."""
    try:
        event = json.loads(line)
        from_text(event["created_at"])
        columns = {name: storable(str(event[name])) for name in ("kind", "key", "created_at")}
        return {**columns, "payload": encode(dict(event["payload"]))}
    except _FOREIGN:
        return None


def _take_in(connection: Connection, path: Path, header: Header) -> int:
    table = tables.fallback_imports
    known = connection.execute(select(table).where(table.c.name == path.name)).first()
    lines = _lines(path)[1:]
    new = [event for event in map(_event, lines[known.lines if known else 0 :]) if event]
    session_id = known.session_id if known else _session(connection, header)
    place = {"run_id": header.run.id, "session_id": session_id}
    if new:
        connection.execute(insert(tables.events), [{**event, **place} for event in new])
    progress = {"lines": len(lines), "updated_at": now_text()}
    connection.execute(
        upsert(table)
        .values(name=path.name, session_id=session_id, **progress)
        .on_conflict_do_update(index_elements=["name"], set_=progress)
    )
    return len(new)


def _session(connection: Connection, header: Header) -> int:
    """Return the session that the events belong to, made with its run and routes where the journal has none."""
    connection.execute(upsert(tables.runs).values(vars(header.run)).on_conflict_do_nothing())
    for platform_name, base_url in header.routes:
        route(connection, header.run.id, platform_name, base_url)
    table = tables.sessions
    query = select(table.c.id).where(table.c.id == header.session_id, table.c.run_id == header.run.id)
    return connection.execute(query).scalar() or _new_session(connection, header)


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
