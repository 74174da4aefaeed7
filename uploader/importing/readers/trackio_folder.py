"""Reads Trackio's databases, one for each project, by SQLite alone.

Trackio's own reader changes the file first: it makes what tables and indexes are missing, and takes the database to its
newest schema. Nothing of it is needed: rows hold JSON, with a time, a run and a step.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from journal.quantities import count
from uploader.importing.imported_run import FoundRun, ImportedRun, Problem
from uploader.importing.reader import UnreadableRun
from uploader.importing.readers.named_files import shown_names
from uploader.importing.readers.sqlite_reading import DAMAGED, is_database, read_database, rows, table_columns, torn_log
from uploader.importing.readers.trackio_run import TrackioRun

_COLUMNS = frozenset({"run_name", "timestamp", "metrics"})
_LEFT_OUT = (
    ("alerts", "alert"),
    ("traces", "trace"),
    ("run_artifact_links", "artifact"),
)
"""Tables of what no run here has a place for, and what to call their rows."""


class TrackioFolder:
    """Reads the runs of a project's database; one is known by its id, before version 0.24 by its name."""

    name = "trackio"

    def detect(self, folder: Path) -> Sequence[FoundRun]:
        """Return the runs of the databases in a folder."""
        try:
            files = [each for each in sorted(folder.glob("*.db")) if is_database(each) or _has_lock(each)]
        except OSError:
            return []
        return [FoundRun(self.name, each, run, is_whole_folder=False) for each in files for run in _runs(each)]

    def read(self, found: FoundRun) -> ImportedRun:
        """Return a run.

        Raises:
            UnreadableRun: Its database is damaged, or written to all the time.
        """
        if found.within == DAMAGED:
            raise UnreadableRun(f"{found.place.name} is damaged; runs that it has behind that cannot be told")
        run = read_database(found.place, lambda connection: _run(connection, found))
        run.problems += torn_log(found.place)
        unread = [*found.place.parent.glob(f"{found.place.stem}*.parquet"), *found.place.parent.glob("inbox/*/*.jsonl")]
        if unread:
            names = shown_names(sorted(each.name for each in unread))
            run.problems.append(Problem(names, "not read: what Trackio has not yet put into its database"))
        return run.imported(found.place)


READER = TrackioFolder()


def _runs(file: Path) -> list[str]:
    """Return what names each run of a database in the order in which they began; none if it is not Trackio's."""

    def read(connection: sqlite3.Connection) -> list[str]:
        if not table_columns(connection, "metrics") >= _COLUMNS:
            return []
        found: dict[str, None] = {}
        problems: list[Problem] = []
        for table in ("metrics", "configs", "system_metrics"):
            if key := _key(connection, table):
                query = f"SELECT {key} FROM {table} NOT INDEXED"  # noqa: S608 - our own names
                found.update(dict.fromkeys(str(name) for (name,) in rows(connection, query, (), problems, table)))
        return [*found, *(DAMAGED for _ in problems[:1])]

    try:
        return read_database(file, read)
    except UnreadableRun:
        return [DAMAGED] if _has_lock(file) else []


def _has_lock(file: Path) -> bool:
    """Return whether a file is Trackio's by what lies beside it, however damaged it is."""
    return file.with_suffix(".lock").exists()


def _key(connection: sqlite3.Connection, table: str) -> str | None:
    """Return the column that tells runs apart, None if the table is not there."""
    columns = table_columns(connection, table)
    return next((name for name in ("run_id", "run_name") if name in columns), None)


def _run(connection: sqlite3.Connection, found: FoundRun) -> TrackioRun:
    run = TrackioRun()
    what = found.place.name

    def of_run(table: str, columns: str) -> Iterator[Any]:
        key = _key(connection, table)
        if key is None:
            return iter(())
        query = f"SELECT {columns} FROM {table} NOT INDEXED WHERE {key} = ? ORDER BY rowid"  # noqa: S608 - our own names
        return rows(connection, query, (found.within,), run.problems, f"{what}: {table}")

    has_steps = "step" in table_columns(connection, "metrics")
    for number, row in enumerate(of_run("metrics", f"run_name, timestamp, metrics, {'step' if has_steps else 'NULL'}")):
        name, at, metrics, step = row
        run.add_metrics(name, at, metrics, number if step is None else step)
    for name, config, at in of_run("configs", "run_name, config, created_at"):
        run.add_config(name, at, config)
    for at, metrics in of_run("system_metrics", "timestamp, metrics"):
        run.add_sample(at, metrics)
    for table, kind in _LEFT_OUT:
        if number := sum(1 for _ in of_run(table, "1")):
            why = f"not taken in: {count(number, kind)}"
            run.problems.append(Problem(f"{what}: {table}", why, is_left_out=True))
    return run
