"""What a list of runs tells of each beside its state: arguments, newest epochs, results, and what people say of it.

Of each session only some events near its beginning or its end are read, so it takes no longer for long runs.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate
from typing import Any

from sqlalchemy import Connection, Row, TextClause, text

from journal.kinds import COMPLETE, DETAIL, EPOCH, FAILED, REGISTRATION, listed
from journal.reading.overview import RunOverview, overview
from journal.reading.recorded_epochs import RecordedEpoch, recorded_epoch
from journal.schema.tables import epochs, rank
from journal.sessions.identity import INTENT
from journal.storage.backend import Begin


def _of_sessions(kinds: str, order: str, most: int, sessions: str) -> TextClause:
    """Return the query for some events of each session of chosen runs, those of a run in its order."""
    return text(
        f"""
        SELECT s.run_id, m.kind, m.key, m.payload, m.created_at, {rank("m", "s")} AS place, s.id AS session, m.seq
        FROM sessions s JOIN events m ON m.id IN (SELECT e.id FROM events e
                                                  WHERE e.session_id = s.id AND e.kind IN ({kinds})
                                                  ORDER BY e.seq {order} LIMIT {most})
        WHERE s.run_id IN (SELECT value FROM json_each(:runs)) AND {sessions} ORDER BY s.run_id, place
        """  # noqa: S608 - names of this package
    )


_TRAINED = "s.purpose IS NULL"
_REGISTRATIONS = _of_sessions(listed([REGISTRATION]), "ASC", 1, _TRAINED)
_ENDS = _of_sessions(listed([COMPLETE, FAILED]), "DESC", 1, _TRAINED)
_NEWEST = _of_sessions(listed([EPOCH]), "DESC", 2, "TRUE")  # two, since the last may be the final evaluation
_DETAILS = _of_sessions(listed([DETAIL]), "DESC", 100, f"s.purpose = '{INTENT}'")
# Of each run by itself: an event of another run may come in later with a lower id.
_LAST = text("SELECT r.id, (SELECT max(e.id) FROM events e WHERE e.run_id = r.id) AS last FROM runs r")
_COUNTED = text(
    f"SELECT r.id, {epochs('r')} FROM runs r WHERE r.id IN (SELECT value FROM json_each(:runs))"  # noqa: S608 - as above
)
_FEW = 10
"""The epochs of so many runs are counted at once, which looks at each of their events, if these are not many."""
_SHORT = 5000  # events of a run
_KEYS = text(
    f"""
    SELECT run_id, count(DISTINCT key) FROM events
    WHERE kind = '{EPOCH}' AND run_id IN (SELECT value FROM json_each(:runs)) GROUP BY run_id
    """  # noqa: S608 - names of this package
)
_LOOKED_AT = 50_000
"""So many events of runs, the shortest ones, are looked at in one transaction for epochs that are not there."""
_AT_ONCE = 200  # runs in one transaction, as a long reader would keep the log from folding


@dataclass(frozen=True)
class RunGist:
    """What a list tells of a run.

    Attributes:
        registration: Payload of its newest `training_started`.
        newest: Its last two epochs by their number, the final evaluation perhaps among them.
        end: Payload of its last `training_complete` or `training_failed`, where it has ended.
        details: What people want platforms to say of its model, by the name of the field.
        epochs: How many it has trained, where that can be less than its last epoch's number tells; else None.
    """

    registration: Mapping[str, Any] = field(default_factory=dict)
    newest: Sequence[RecordedEpoch] = ()
    end: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    epochs: int | None = None


class RunsReader:
    """Reads what a list of runs tells, each time in short transactions."""

    def __init__(self, begin: Begin) -> None:
        """Read nothing yet.

        Args:
            begin: Begins a transaction.
        """
        self._begin = begin

    def overview(self, now: datetime) -> tuple[list[RunOverview], Mapping[str, int]]:
        """Return all runs, and the id of the last event of each that has one.

        Args:
            now: The current time.
        """
        with self._begin(read_only=True) as connection:
            last = {run: event for run, event in connection.execute(_LAST) if event is not None}
            return overview(connection, now), last

    def gists(self, runs: Collection[str], over: Collection[str]) -> Mapping[str, RunGist]:
        """Return what a list tells of runs, by their uuids.

        Args:
            runs: The runs.
            over: Those of them that have finished or failed: only these are asked for their ends.
        """
        found: dict[str, RunGist] = {}
        for part in _parts(sorted(runs)):
            with self._begin(read_only=True) as connection:
                found |= _gists(connection, part, [run for run in part if run in over])
        return found


def _parts(runs: Sequence[str]) -> Iterator[Sequence[str]]:
    return (runs[first : first + _AT_ONCE] for first in range(0, len(runs), _AT_ONCE))


def _gists(connection: Connection, runs: Sequence[str], over: Sequence[str]) -> Mapping[str, RunGist]:
    registrations = {run: told for run, _, told in _payloads(connection, _REGISTRATIONS, runs)}
    ends = {run: told for run, _, told in _payloads(connection, _ENDS, over)}
    details: dict[str, dict[str, Any]] = {}
    for run, key, told in _payloads(connection, _DETAILS, runs):
        details.setdefault(run, {})[key] = told.get(key)
    newest, most = _newest_epochs(connection, runs)
    last = {run: max((one.epoch + 1 for one in newest.get(run, ())), default=0) for run in runs}
    fewer = _fewer(connection, last, most)
    is_few = len(runs) <= _FEW
    counted = _counted(connection, [run for run in runs if run in fewer or (is_few and most[run] <= _SHORT)])
    return {
        run: RunGist(
            registrations.get(run, {}), newest.get(run, ()), ends.get(run, {}), details.get(run, {}), counted.get(run)
        )
        for run in runs
    }


def _fewer(connection: Connection, last: Mapping[str, int], most: Mapping[str, int]) -> set[str]:
    """Return the runs that have fewer epochs than the last one's number tells, as far as few events tell so.

    Args:
        connection: Any.
        last: Of each run, how many there are by that number.
        most: How many events it has at most.
    """
    sparse = {run for run in last if last[run] > most[run]}
    short = sorted((run for run in last.keys() - sparse if most[run] <= _SHORT), key=most.__getitem__)
    together = accumulate(most[run] for run in short)
    looked_at = [run for run, events in zip(short, together, strict=True) if events <= _LOOKED_AT]
    found = connection.execute(_KEYS, {"runs": json.dumps(looked_at)})
    return sparse | {run for run, keys in found if keys < last[run]}


def _counted(connection: Connection, runs: Sequence[str]) -> Mapping[str, int]:
    return {run: count for run, count in connection.execute(_COUNTED, {"runs": json.dumps([*runs])}) if count}


def _newest_epochs(
    connection: Connection, runs: Collection[str]
) -> tuple[Mapping[str, Sequence[RecordedEpoch]], Mapping[str, int]]:
    """Return the last two epochs of runs, and how many events, at most, their sessions had when these were recorded."""
    newest: dict[str, dict[str, Row[Any]]] = {}
    events: dict[str, dict[int, int]] = {run: {} for run in runs}
    for row in connection.execute(_NEWEST, {"runs": json.dumps([*runs])}):
        newest.setdefault(row.run_id, {})[row.key] = row  # the later one replaces
        events[row.run_id][row.session] = max(row.seq, events[row.run_id].get(row.session, 0))
    read = {run: [recorded_epoch(row.payload, row.created_at) for row in rows.values()] for run, rows in newest.items()}
    last = {
        run: sorted((one for one in epochs if one is not None), key=lambda one: one.epoch)[-2:]
        for run, epochs in read.items()
    }
    return last, {run: sum(sessions.values()) for run, sessions in events.items()}


def _payloads(
    connection: Connection, query: TextClause, runs: Collection[str]
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield run, key and payload of each event; what cannot be read is left out."""
    for row in connection.execute(query, {"runs": json.dumps([*runs])}):
        try:
            told = json.loads(row.payload)
        except ValueError:
            continue
        if isinstance(told, dict):
            yield row.run_id, row.key, told
