"""Events that no journal could take: lines of JSON in a file of their own, taken in by the next drain.

A file's first line says whose it is: the journal, the run, the session. Each further line is an event under the number
that it has in the session, fsynced before `append` returns. `journal.writing.fallback_intake` takes them in.
"""

from __future__ import annotations

import errno
import json
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import takewhile
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import Connection, select

from journal.checkpoints.blobs import sync_folder, write_all
from journal.clock import from_text, now_text
from journal.errors import JournalUnwritable
from journal.records import Run
from journal.schema import tables
from journal.sessions.identity import ENTRY_FIELDS, Entry, Session
from journal.sessions.liveness import boot_id, host_name
from journal.writing.payloads import drafts

# What reading a line that nobody here wrote may raise; the last where it nests too deep.
FOREIGN = (KeyError, TypeError, ValueError, RecursionError)
_LONGEST_HEADER = 1 << 20


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
        session: Uuid of the session; None in files of earlier versions, whose lines have no numbers.
        generation: The session's, None where nobody could look for earlier ones.
        parent: Uuid of the session that it continues, None for the first.
        purpose: Why the session writes where it is no training's, else None.
        journal_uuid: Which journal, wherever it is now; None where it was never open.
    """

    journal: str
    run: Run
    session_id: int | None
    routes: Sequence[Sequence[str]]
    pid: int
    host: str
    boot_id: str
    started_at: str
    session: str | None = None
    generation: int | None = None
    parent: str | None = None
    purpose: str | None = None
    journal_uuid: str | None = None


_HEADER = frozenset(field.name for field in fields(Header))


class FallbackFile:
    """The fallback file of one session, made when it is first needed; where it may grow no more, a further one.

    Attributes:
        header: Its first line.
        path: Where it is, the last of them; None before it is made.
        earlier: Where those before it are.
    """

    def __init__(
        self,
        folders: Iterable[Path],
        journal: Path,
        run: Run,
        *,
        session_id: int | None = None,
        routes: Sequence[tuple[str, str]] = (),
        session: Session | None = None,
    ) -> None:
        """Take notice of where and whose; nothing is written yet."""
        self._folders = list(folders)
        self._session = session or Session(run.id)
        who = self._session.facts()
        self.header = Header(
            os.path.realpath(journal),  # raises nothing, whatever it is
            run,
            session_id,
            routes,
            os.getpid(),
            host_name(),
            boot_id(),
            now_text(),
            who["uuid"],
            who["generation"],
            who["parent"],
            self._session.purpose,
            self._session.journal,
        )
        self._descriptor: int | None = None
        self._is_torn = False
        self.path: Path | None = None
        self.earlier: list[Path] = []

    @property
    def paths(self) -> list[Path]:
        """Where its events are, the first ones first."""
        return [*self.earlier, *([self.path] if self.path else [])]

    def append(self, kind: str, payload: Mapping[str, Any], key: str = "") -> None:
        """Write one event durably.

        Raises:
            JournalUnwritable: None of the folders takes a file, or the file takes no more.
        """
        self.write(self._session.entries(drafts(kind, payload, key)))

    def write(self, entries: Iterable[Entry]) -> None:
        """Write the session's events durably, under the numbers that they have.

        Raises:
            JournalUnwritable: None of the folders takes a file, or the file takes no more.
        """
        try:
            if self._descriptor is None:
                self._create()
            for entry in entries:
                event = dict(zip(ENTRY_FIELDS, entry, strict=True))
                self._write_somewhere({**event, "payload": json.loads(entry[2])})
        except OSError as error:
            raise JournalUnwritable(f"{self.path} cannot be written ({error.strerror})") from error
        except MemoryError as error:
            raise JournalUnwritable(f"there is no memory left to write to {self.path}") from error

    def close(self) -> None:
        """Close the file; it stays until a drain has taken it in."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def size(self) -> int:
        """Return its bytes.

        Raises:
            OSError: That cannot be told.
        """
        return sum(path.stat().st_size for path in self.paths)

    def remove(self) -> None:
        """Close and delete it: the journal has its events.

        Raises:
            OSError: It stays; nothing is taken in twice.
        """
        self.close()
        for path in self.paths:
            path.unlink(missing_ok=True)

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
            self._write(asdict(self.header))
            sync_folder(folder)
        except (OSError, MemoryError):
            self.close()
            self.path.unlink(missing_ok=True)
            self._is_torn = False
            raise

    def _write_somewhere(self, line: Mapping[str, Any]) -> None:
        """Write a line to the file, or to a new one where that takes no more: it has a size limit, or a quota."""
        try:
            self._write(line)
        except OSError:
            if not self._begin_another():
                raise
            self._write(line)

    def _begin_another(self) -> bool:
        """Go on in a new file, in the first folder that takes one; return False where none does."""
        known = (self.path, self._descriptor, self._is_torn)
        self._descriptor, self._is_torn = None, False
        self.header = replace(self.header, started_at=now_text())
        try:
            self._create()
        except JournalUnwritable:
            self.path, self._descriptor, self._is_torn = known
            return False
        if known[0] is not None and known[1] is not None:
            self.earlier.append(known[0])
            os.close(known[1])
        return True

    def _write(self, line: Mapping[str, Any]) -> None:
        """Write and flush a line, after the end of one that was cut short."""
        assert self._descriptor is not None
        text = json.dumps(line, separators=(",", ":")) + "\n"
        start = "\n" if self._is_torn else ""
        self._is_torn = True
        write_all(self._descriptor, f"{start}{text}".encode())
        os.fsync(self._descriptor)
        self._is_torn = False


def files(folders: Iterable[Path]) -> list[Path]:
    """Return the fallback files in those of the folders that are this user's."""
    return sorted(path for folder in folders if _is_ours(folder) for path in folder.glob("*.jsonl"))


def untaken(connection: Connection, paths: Iterable[Path]) -> list[Path]:
    """Return those of a journal's fallback files that hold more than was taken in of them."""
    table = tables.fallback_imports
    taken = {row.name: row.lines for row in connection.execute(select(table.c.name, table.c.lines))}
    return [path for path in paths if (held := _events(path)) is None or held > taken.get(path.name, -1)]


def why_shut(path: Path) -> str | None:
    """Return why a file cannot be read, None where it can be, or is gone."""
    try:
        with path.open("rb") as file:
            file.read(1)
    except FileNotFoundError:
        return None
    except OSError as error:
        return error.strerror or str(error)
    return None


def read_header(path: Path) -> Header | None:
    """Return whose events a file holds, None when its first line does not say."""
    try:
        with path.open("rb") as file:
            line = file.readline(_LONGEST_HEADER)
        first = json.loads(line) if line.endswith(b"\n") else {}
        known = {name: value for name, value in dict(first).items() if name in _HEADER}
        header = Header(**{**known, "run": Run(**first["run"])})
        return header if _is_sound(header) else None
    except (OSError, *FOREIGN):
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
    for name in (header.session, header.parent, header.journal_uuid):
        if name is not None:
            uuid.UUID(str(name))
    numbers = (header.pid, header.session_id or 0, header.generation or 0)
    return isinstance(header.journal, str) and all(isinstance(one, int) and 0 <= one < 1 << 31 for one in numbers)


def whole_lines(file: BinaryIO) -> Iterator[bytes]:
    """Return the lines of a file; a last one without its end is still being written, or was torn."""
    return takewhile(lambda line: line.endswith(b"\n"), file)


def _events(path: Path) -> int | None:
    """Return how many lines there are after the first; None where it cannot be read to its end."""
    try:
        with path.open("rb") as file:
            return sum(1 for _ in whole_lines(file)) - 1
    except FileNotFoundError:
        return -1
    except OSError:
        return None


def _is_ours(folder: Path) -> bool:
    """Return whether the folder is there and this user's: under a shared temporary folder it might be a stranger's."""
    try:
        return os.name == "nt" or folder.lstat().st_uid == os.getuid()
    except OSError:
        return False
