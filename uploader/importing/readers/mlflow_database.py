"""Reads MLflow's database, `mlflow.db`, which it keeps its runs in by default today: by SQLite alone."""

from __future__ import annotations

import math
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from uploader.importing.imported_run import FoundRun, Problem
from uploader.importing.reader import UnreadableRun
from uploader.importing.readers.mlflow_run import MlflowRun
from uploader.importing.readers.moments import moment
from uploader.importing.readers.sqlite_reading import DAMAGED, is_database, read_database, rows, table_columns, torn_log

_TABLES = ("experiments", "metrics", "params", "runs", "tags")
_FACTS = ("run_uuid", "name", "status", "start_time", "end_time", "lifecycle_stage", "artifact_uri", "experiment_id")


def runs_of_database(folder: Path, source: str) -> Sequence[FoundRun]:
    """Return the runs of the databases in a folder.

    Args:
        folder: Looked into, and not below.
        source: Name of the reader.
    """
    try:
        files = [each for each in sorted(folder.glob("*.db")) if is_database(each)]
    except OSError:
        return []
    return [FoundRun(source, each, run, is_whole_folder=False) for each in files for run in _uuids(each)]


def read_run(found: FoundRun) -> MlflowRun:
    """Return a run of a database.

    Raises:
        UnreadableRun: It is damaged, or written to all the time.
    """
    if found.within == DAMAGED:
        raise UnreadableRun(f"{found.place.name} is damaged; runs that it has behind that cannot be told")
    run = read_database(found.place, lambda connection: _run(connection, found))
    run.problems += torn_log(found.place)
    return run


def _uuids(file: Path) -> list[str]:
    def read(connection: sqlite3.Connection) -> list[str]:
        if not all(table_columns(connection, table) for table in _TABLES):
            return []
        problems: list[Problem] = []
        found = rows(connection, "SELECT run_uuid FROM runs NOT INDEXED", (), problems, "runs")
        return [*(str(uuid) for (uuid,) in found), *(DAMAGED for _ in problems)]

    try:
        return read_database(file, read)
    except UnreadableRun:
        return [DAMAGED] if file.name == "mlflow.db" else []


def _run(connection: sqlite3.Connection, found: FoundRun) -> MlflowRun:
    of_run = (found.within,)
    row = connection.execute(f"SELECT {', '.join(_FACTS)} FROM runs WHERE run_uuid = ?", of_run).fetchone()  # noqa: S608
    if row is None:
        raise UnreadableRun(f"{found.place.name} no longer has the run {found.within}")
    run = MlflowRun(dict(zip(_FACTS, row, strict=True)))

    def read(table: str, query: str) -> Iterator[Any]:
        return rows(connection, query, of_run, run.problems, f"{found.place.name}: {table}")

    number = run.facts["experiment_id"]
    name = connection.execute("SELECT name FROM experiments WHERE experiment_id = ?", (number,)).fetchone()
    run.experiment = None if name is None else str(name[0])
    run.tags = _texts(read("tags", "SELECT key, value FROM tags WHERE run_uuid = ? ORDER BY key"))
    run.params = _texts(read("params", "SELECT key, value FROM params WHERE run_uuid = ? ORDER BY key"))
    query = "SELECT key, timestamp, value, is_nan, step FROM metrics WHERE run_uuid = ? ORDER BY timestamp, rowid"
    for key, at, value, is_nan, step in read("metrics", query):
        run.add_metric(str(key), moment(at, per_second=1000), _value(value, is_nan), step)
    run.artifacts = found.place.parent / "mlruns" / str(number) / run.uuid / "artifacts"
    return run


def _texts(found: Iterator[Any]) -> dict[str, str]:
    return {str(name): str(value) for name, value in found}


def _value(value: Any, is_nan: Any) -> Any:
    """Return a value as it was logged: the database has none for what is not finite."""
    if is_nan:
        return math.nan
    if not isinstance(value, float):
        return value
    return math.copysign(math.inf, value) if abs(value) == sys.float_info.max else value
