"""The format of fallback files: a header line, then events as lines of JSON; finding them, and reading headers."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import takewhile
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import Connection, select

from journal.clock import from_text
from journal.records import Run
from journal.schema import tables

# What parsing a line that this software did not write may raise; RecursionError where it nests too deep.
PARSE_ERRORS = (KeyError, TypeError, ValueError, RecursionError)
_LONGEST_HEADER = 1 << 20


@dataclass(frozen=True)
class Header:
    """The first line of a fallback file: which journal, run and session its events belong to.

    Attributes:
        journal: The journal folder that the events were meant for, absolute.
        run: The run.
        session_id: The session's row in that journal; None when not even that could be written.
        routes: Platform name and base URL of each destination of the run.
        pid: The writing process.
        host: Its machine.
        boot_id: The boot of that machine.
        started_at: When the file was created.
        session: Uuid of the session; None in files of earlier versions, whose lines have no sequence numbers.
        generation: The session's generation; None when earlier sessions could not be looked up.
        parent: Uuid of the session that it continues; None for the first.
        purpose: What the session is for if it is not a training's; else None.
        journal_uuid: The journal's uuid, which stays the same wherever it is moved; None if it was never opened.
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


def files(folders: Iterable[Path]) -> list[Path]:
    """Return the fallback files in the given folders, leaving out folders that belong to another user."""
    return sorted(path for folder in folders if is_ours(folder) for path in folder.glob("*.jsonl"))


def not_ingested(connection: Connection, paths: Iterable[Path]) -> list[Path]:
    """Return the fallback files that hold more lines than the journal has ingested."""
    table = tables.fallback_imports
    return not_among({row.name: row.lines for row in connection.execute(select(table.c.name, table.c.lines))}, paths)


def not_among(taken: Mapping[str, int], paths: Iterable[Path]) -> list[Path]:
    """Return the fallback files that hold more lines than were ingested, which is given by their names."""
    return [path for path in paths if (held := _events(path)) is None or held > taken.get(path.name, -1)]


def unreadable_reason(path: Path) -> str | None:
    """Return why a file cannot be read; None if it can be, or is gone."""
    try:
        with path.open("rb") as file:
            file.read(1)
    except FileNotFoundError:
        return None
    except OSError as error:
        return error.strerror or str(error)
    return None


def read_header(path: Path) -> Header | None:
    """Return the header of a file; None when its first line is none."""
    try:
        with path.open("rb") as file:
            return parse_header(file.readline(_LONGEST_HEADER))
    except OSError:
        return None


def parse_header(line: bytes) -> Header | None:
    """Return what the first line of a file says; None when it is no header."""
    try:
        first = json.loads(line) if line.endswith(b"\n") else {}
        known = {name: value for name, value in dict(first).items() if name in _HEADER}
        header = Header(**{**known, "run": Run(**first["run"])})
        return header if _is_sound(header) else None
    except PARSE_ERRORS:
        return None


def _is_sound(header: Header) -> bool:
    """Return whether every value of the header can be stored in the journal and read back.

    Raises:
        TypeError: A value has the wrong type.
        ValueError: A value cannot be stored, or is not a valid time.
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
    """Return the complete lines of a file; an unterminated last one is still being written, or was torn."""
    return takewhile(lambda line: line.endswith(b"\n"), file)


def _events(path: Path) -> int | None:
    """Return the number of complete lines after the header; None when the file cannot be read to its end."""
    try:
        with path.open("rb") as file:
            return sum(1 for _ in whole_lines(file)) - 1
    except FileNotFoundError:
        return -1
    except OSError:
        return None


def is_ours(folder: Path) -> bool:
    """Return whether the folder exists and belongs to this user; in a shared temporary folder it might not."""
    try:
        return folder.lstat().st_uid == os.getuid()
    except OSError:
        return False
