"""Fallback files: events that the journal could not take, as lines of JSON that the next drain ingests.

The first line is a header that names the journal, the run and the session. Each further line is one event with its
sequence number. It is flushed when `append` returns, unless that was to wait only so long: then the flush goes on, and
the line is kept in memory until it has succeeded. `journal.writing.fallback_intake` ingests the files.
"""

from __future__ import annotations

import errno
import json
import math
import os
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from journal.checkpoints.blobs import write_all
from journal.clock import now_text
from journal.errors import JournalUnwritable
from journal.records import Run
from journal.sessions.identity import ENTRY_FIELDS, Entry, Session
from journal.sessions.liveness import boot_id, host_name
from journal.storage.flusher import Flusher
from journal.writing.fallback_format import Header, is_ours
from journal.writing.payloads import drafts


class FallbackFile:
    """The fallback file of one session, created on first use and continued in another file when it can grow no further.

    Attributes:
        header: The first line.
        path: The current file; None before it is created.
        earlier: The files before it.
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
        max_wait: float = math.inf,
    ) -> None:
        """Prepare the header; nothing is written before the first event.

        Args:
            folders: Where the file may be, in order of preference.
            journal: The journal folder that the events are meant for.
            run: The run.
            session_id: The session's row in that journal, if it has one.
            routes: Platform name and base URL of each destination of the run.
            session: Numbers the events; by default a new session.
            max_wait: Seconds to wait for the flush of a line.
        """
        self._folders = list(folders)
        self._max_wait = max_wait
        self._session = session or Session(run.id)
        who = self._session.facts()
        self.header = Header(
            os.path.realpath(journal),  # never raises, unlike Path.resolve
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
        self._flusher: Flusher | None = None
        self._unflushed: list[Mapping[str, Any]] = []
        self._is_torn = False
        self.path: Path | None = None
        self.earlier: list[Path] = []

    @property
    def paths(self) -> list[Path]:
        """Every file of the session, oldest first."""
        return [*self.earlier, *([self.path] if self.path else [])]

    def append(self, kind: str, payload: Mapping[str, Any], key: str = "") -> None:
        """Write one event durably.

        Raises:
            JournalUnwritable: No file can be created or extended in any of the folders.
        """
        self.write(self._session.entries(drafts(kind, payload, key)))

    def write(self, entries: Iterable[Entry]) -> None:
        """Write numbered events of the session durably.

        Raises:
            JournalUnwritable: No file can be created or extended in any of the folders.
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
        """Close the file; it stays until a drain has ingested it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        if self._flusher is not None:
            self._flusher.close()
            self._flusher = None

    def size(self) -> int:
        """Return the size of the session's files in bytes.

        Raises:
            OSError: It cannot be determined.
        """
        return sum(path.stat().st_size for path in self.paths)

    def remove(self) -> None:
        """Close and delete the files, once the journal has their events.

        Raises:
            OSError: A file could not be deleted; that is harmless, as nothing is ingested twice.
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
        """Create the file with its header; without one nobody could tell where its events belong."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not is_ours(folder):
            raise PermissionError(errno.EPERM, "it belongs to another user")
        self.path = folder / f"{uuid.uuid4().hex}.jsonl"
        self._descriptor = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
        try:
            self._flusher = Flusher(self.path)
            self._write(asdict(self.header))
            self._sync(folder)
        except (OSError, MemoryError):
            self.close()
            self.path.unlink(missing_ok=True)
            self._is_torn = False
            raise

    def _write_somewhere(self, line: Mapping[str, Any]) -> None:
        """Write a line to the file, or to a new one when a size limit, a quota or a failed flush stops this one."""
        self._unflushed.append(line)
        try:
            is_durable = self._write(line)
        except OSError:
            if not self._begin_another():
                raise
            for each in self._unflushed:
                is_durable = self._write(each)
        if is_durable:
            self._unflushed.clear()

    def _begin_another(self) -> bool:
        """Continue in a new file, in the first folder that accepts one; return False when none does."""
        known = (self.path, self._descriptor, self._flusher, self._is_torn)
        self._descriptor, self._flusher, self._is_torn = None, None, False
        self.header = replace(self.header, started_at=now_text())
        try:
            self._create()
        except JournalUnwritable:
            self.path, self._descriptor, self._flusher, self._is_torn = known
            return False
        if known[0] is not None and known[1] is not None:
            self.earlier.append(known[0])
            os.close(known[1])
        if known[2] is not None:
            known[2].close()
        return True

    def _write(self, line: Mapping[str, Any]) -> bool:
        """Write and flush a line, first ending one that was cut short; return whether it is flushed by now."""
        assert self._descriptor is not None
        assert self._flusher is not None
        text = json.dumps(line, separators=(",", ":")) + "\n"
        start = "\n" if self._is_torn else ""
        self._is_torn = True
        write_all(self._descriptor, f"{start}{text}".encode())
        is_durable = self._flusher.note().wait(self._max_wait)
        self._is_torn = False
        return is_durable

    def _sync(self, folder: Path) -> None:
        """Make the name of a new file durable, or have that done."""
        flusher = Flusher(folder)
        try:
            flusher.note().wait(self._max_wait)
        finally:
            flusher.close()
