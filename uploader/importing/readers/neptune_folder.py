"""Reads what neptune-scale kept offline: `.neptune/PROJECT_RUN_TIME/run_operations.sqlite3`, one for each start.

The rows are read by SQLite (neptune-scale's own reader opens the file for writing), their bytes by neptune-api's
messages.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from uploader.importing.imported_run import FoundRun, ImportedRun, Problem
from uploader.importing.reader import UnreadableRun
from uploader.importing.readers.libraries import library_module
from uploader.importing.readers.neptune_run import NeptuneRun
from uploader.importing.readers.sqlite_reading import is_database, read_database, rows, table_columns, torn_log

_FILE = "run_operations.sqlite3"
_CREATE_RUN = 1
_VERSION = "v5"


class NeptuneFolder:
    """Reads the run of a folder, together with those beside it that the same run was started in again."""

    name = "neptune"

    def detect(self, folder: Path) -> Sequence[FoundRun]:
        """Return the run of a folder; one that was started again lies where it began."""
        file = folder / _FILE
        if not is_database(file):
            return []
        identity = _identity_of(file)
        return [FoundRun(self.name, file if identity is None else _starts(file, identity)[0])]

    def read(self, found: FoundRun) -> ImportedRun:
        """Return a run with all its starts.

        Raises:
            UnreadableRun: neptune-api is not installed, or its file is damaged, or written to all the time.
        """
        messages = library_module(
            "neptune_api.proto.neptune_pb.ingest.v1.common_pb2", package="neptune-scale", files="Neptune's runs"
        )
        identity = read_database(found.place, _identity)
        if identity is None:
            raise UnreadableRun(f"{found.place.name} does not say which run it is")
        run = NeptuneRun(identity)
        for file in _starts(found.place, identity):
            _read_file(file, run, messages)
        return run.imported(found.place.parent)


READER = NeptuneFolder()


def _read_file(file: Path, run: NeptuneRun, messages: Any) -> None:
    what = f"{file.parent.name}/{file.name}"
    try:
        records, problems = read_database(file, lambda connection: _records(connection, what, messages))
    except UnreadableRun as error:
        run.problems.append(Problem(what, str(error)))
        return
    run.problems += [*problems, *torn_log(file)]
    run.begin(file.parent)
    for record in records:
        run.add(record)


def _identity(connection: sqlite3.Connection) -> tuple[str, str] | None:
    """Return project and id of the run, None if the file is not of a run."""
    if not table_columns(connection, "run_operations"):
        return None
    found = connection.execute("SELECT project, run_id FROM metadata").fetchone()
    return None if found is None else (str(found[0]), str(found[1]))


def _starts(file: Path, identity: tuple[str, str]) -> list[Path]:
    """Return the files of a run in the order of its starts: the folders' names end in when each began."""
    folder = file.parent.resolve()
    begin = folder.name.rpartition("_")[0]
    beside = sorted(each for each in folder.parent.glob(f"*/{_FILE}") if each.parent.name.rpartition("_")[0] == begin)
    return [each for each in beside if each.parent == folder or _identity_of(each) == identity] or [file]


def _identity_of(file: Path) -> tuple[str, str] | None:
    try:
        return read_database(file, _identity)
    except UnreadableRun:
        return None


def _records(connection: sqlite3.Connection, what: str, messages: Any) -> tuple[list[Any], list[Problem]]:
    problems: list[Problem] = []
    records, first = [], None
    query = "SELECT sequence_id, operation_type, operation FROM run_operations NOT INDEXED ORDER BY sequence_id"
    for number, kind, body in rows(connection, query, (), problems, what):
        first = number if first is None else first
        record = (messages.Run if kind == _CREATE_RUN else messages.UpdateRunSnapshot)()
        try:
            record.ParseFromString(body)
        except Exception:  # noqa: BLE001 - protobuf's error is of a library that is not named here
            problems.append(Problem(what, f"operation {number} is no message of Neptune's"))
        else:
            records.append(record)
    if first is not None and first > 1:
        problems.append(Problem(what, f"its first {first - 1} operations are gone: they were sent to Neptune"))
    if (version := connection.execute("SELECT version FROM metadata").fetchone()[0]) != _VERSION:
        problems.append(Problem(what, f"its format is {version}; {_VERSION} is known here, so look at what arrived"))
    return records, problems
