"""What a run has measured, by columns: fifty runs of thousands of epochs may be compared.

SQL makes one row of a whole run, whose payloads are parsed as one text: a row for each epoch takes twice as long. What
is new of a run is read by rows, and so is a run that holds what is none of ours.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from operator import le
from typing import Any, NoReturn

from sqlalchemy import Connection, bindparam, literal_column, select, text

from journal.evaluations import are_trained_by_columns, said_by_columns
from journal.kinds import EPOCH
from journal.reading.recorded_epochs import RecordedEpoch, epoch_of, grown_epochs, newest_epochs
from journal.schema import tables
from journal.schema.neutral import json_list, json_texts, number

_E, _S = tables.events.alias("e"), tables.sessions.alias("s")
_COLUMNS = (_E.c.key, literal_column(number("e.key"), tables.WHOLE), _E.c.id, tables.run_order(_E, _S), _E.c.created_at)
_RECORDS = (
    select(*map(json_list, _COLUMNS), json_texts(_E.c.payload))
    .join_from(_E, _S, _S.c.id == _E.c.session_id)
    .where(_E.c.run_id == bindparam("run"), _E.c.kind == EPOCH)
)
_BEST = text(
    f"""
    SELECT number FROM (
      SELECT {number("e.key")} AS number, e.payload, {tables.RANK} AS place,
             row_number() OVER (PARTITION BY e.key ORDER BY {tables.RANK} DESC, e.id) AS age
      FROM events e JOIN sessions s ON s.id = e.session_id WHERE e.run_id = :run AND e.kind = '{EPOCH}') told
    WHERE age = 1 AND json_valid(payload) AND json_type(payload, '$.fitness') IN ('integer', 'real')
    ORDER BY (SELECT m.atom FROM json_each(payload, '$.fitness') m) DESC, place LIMIT 1
    """  # noqa: S608 - names of this package
)

_NUMBERS = (int, float)  # and True is none


@dataclass(frozen=True)
class EpochColumns:
    """Epochs in their order; each has one place in all columns.

    Attributes:
        numbers: Of each, from 0.
        recorded_at: When each was recorded, ISO.
        metrics: Values of each by their names, as they were told: not all of them need be finite numbers.
    """

    numbers: Sequence[int]
    recorded_at: Sequence[str]
    metrics: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Measured:
    """What a run has measured, or what of it is new.

    Attributes:
        epochs: Those that were trained.
        evaluation: The final evaluation, new or not; None if there is none.
        best: The epoch of the best fitness, new or not; None where none was told.
    """

    epochs: EpochColumns
    evaluation: RecordedEpoch | None
    best: int | None


def measured(connection: Connection, run_id: str, after: int = 0) -> Measured:
    """Return what a run has measured.

    Args:
        connection: Any.
        run_id: The run.
        after: Id of the event after which it is new; 0 for all.
    """
    records = None if after else _records(connection, run_id)
    return _by_rows(connection, run_id, after) if records is None else _by_columns(records)


def _by_rows(connection: Connection, run_id: str, after: int) -> Measured:
    epochs, evaluation = grown_epochs(connection, newest_epochs(connection, run_id), after)
    columns = EpochColumns(
        [one.epoch for one in epochs], [one.recorded_at for one in epochs], [one.metrics for one in epochs]
    )
    return Measured(columns, evaluation, connection.execute(_BEST, {"run": run_id}).scalar())


@dataclass(frozen=True)
class _Records:
    """Records of epochs, by columns: what SQL tells of each, and its payload."""

    keys: Sequence[str]
    numbers: Sequence[int]
    ids: Sequence[int]
    places: Sequence[int]
    times: Sequence[str]
    told: Sequence[dict[str, Any]]

    def newest(self) -> _Records:
        """Return the newest record of each epoch, by their numbers, as `newest_epochs` does."""
        if len({*self.keys}) == len(self.keys) and _are_sorted(self.numbers) and _are_sorted(self.ids):
            return self  # as of most runs, which no epoch was trained twice in
        order = sorted(range(len(self.ids)), key=self.ids.__getitem__, reverse=True)
        order.sort(key=self.places.__getitem__)
        newest = sorted({self.keys[at]: at for at in order}.values(), key=self.ids.__getitem__)
        newest.sort(key=self.numbers.__getitem__)
        return _Records(*([each[at] for at in newest] for each in self._columns()))

    def best(self) -> int | None:
        """Return the epoch of the best fitness, as `_BEST` does."""
        fitness: list[Any] = [one.get("fitness") for one in self.told]
        highest = max((value for value in fitness if type(value) in _NUMBERS), default=None)
        if highest is None:
            return None
        told = zip(fitness, self.places, self.numbers, strict=True)
        return min((place, epoch) for value, place, epoch in told if value == highest and type(value) in _NUMBERS)[1]

    def are_ours(self) -> bool:
        """Return whether each payload is that of the epoch that its record is for."""
        are_theirs = [one.get("epoch") for one in self.told] == self.numbers
        return are_theirs and _are_objects([one.get("metrics") for one in self.told])

    def _columns(self) -> tuple[Sequence[Any], ...]:
        return self.keys, self.numbers, self.ids, self.places, self.times, self.told


def _records(connection: Connection, run_id: str) -> _Records | None:
    """Return the newest records of a run's epochs; None where a payload is none of ours."""
    found = connection.execute(_RECORDS, {"run": run_id}).one()
    try:
        every = _Records(*(json.loads(each or "[]", parse_constant=_refuse) for each in found))
    except ValueError:
        return None
    if len(every.told) != len(every.keys) or not _are_objects(every.told):
        return None
    newest = every.newest()
    return newest if newest.are_ours() else None


def _by_columns(every: _Records) -> Measured:
    metrics = [one["metrics"] for one in every.told]
    are = are_trained_by_columns(said_by_columns(every.told), metrics)
    epochs = EpochColumns(*([*compress(each, are)] for each in (every.numbers, every.times, metrics)))
    last = next((at for at in reversed(range(len(are))) if not are[at]), None)
    return Measured(epochs, None if last is None else epoch_of(every.told[last], every.times[last]), every.best())


def _are_sorted(numbers: Sequence[int]) -> bool:
    return all(map(le, numbers, numbers[1:]))


def _are_objects(values: Sequence[Any]) -> bool:
    return {*map(type, values)} <= {dict}


def _refuse(constant: str) -> NoReturn:
    """Refuse NaN and the infinite, for which JSON has no words."""
    raise ValueError(constant)
