"""Epochs that the journal lacks: some of them the trainer's own record has."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, StaticPool, create_engine

from journal.clock import utc_now
from journal.doctor.findings import Finding, notice, some, trouble
from journal.doctor.row_checks import tells_identities
from journal.next_steps import next_command
from journal.quantities import epochs_in_words
from journal.reading.epoch_gaps import missing_epochs
from journal.retention import prunable
from journal.sessions.over import OverRun, RecordOf, runs_over
from journal.writing.epoch_salvage import find

_NAMES = "SELECT id, coalesce(project || '/', '') || name AS name FROM runs"
SALVAGEABLE = "epochs-salvageable"
"""Code of the finding whose repair is to take epochs in."""


def check_epochs(connection: sqlite3.Connection, folder: Path, record_of: RecordOf) -> Iterator[Finding]:
    """Look for epochs that the journal lacks, also of runs that were trained to the end.

    Args:
        connection: The journal's database.
        folder: The journal.
        record_of: Returns a trainer's own record of a run's epochs.
    """
    if not tells_identities(connection):
        return
    with _by_sqlalchemy(connection) as reader:
        pruned = prunable.pruned(reader)
        over = list(runs_over(reader, utc_now(), pruned, finished=True))
        salvageable = {run: _lost(reader, run, record_of) for run in over}
        missing = missing_epochs(reader, pruned)
        names: dict[str, str] = {row.id: row.name for row in reader.exec_driver_sql(_NAMES)}
    if there := [f"{_of(run.name, run.id, lost)} in {run.folders[0]}" for run, lost in salvageable.items() if lost]:
        detail = f"not in the journal, but in a results.csv: {some(there)}"
        yield trouble(SALVAGEABLE, detail, f"`{next_command('doctor --repair', folder)}` takes them in.")
    known = {run.id: set(lost) for run, lost in salvageable.items()}
    gone = {run_id: sorted({*numbers} - known.get(run_id, set())) for run_id, numbers in missing.items()}
    if lost := [_of(names[run_id], run_id, numbers) for run_id, numbers in gone.items() if numbers]:
        advice = "If a run's folder is elsewhere, bring it back to where it was trained. All other epochs are there."
        yield notice("epochs-missing", f"neither in the journal nor in a results.csv here: {some(lost)}", advice)


def _lost(reader: Connection, run: OverRun, record_of: RecordOf) -> Sequence[int]:
    return sorted(one.epoch.number for one in find(reader, run.id, record_of(run), run.generation))


def _of(name: str, run_id: str, numbers: Sequence[int]) -> str:
    return f"{epochs_in_words(numbers)} of {name} ({run_id})"


@contextmanager
def _by_sqlalchemy(connection: sqlite3.Connection) -> Iterator[Connection]:
    """Use a connection for queries that the rest of the journal has, too; it stays open."""
    engine = create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool)
    with engine.connect() as reader:
        yield reader
