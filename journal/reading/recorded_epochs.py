"""What a run's epochs have measured, the newest record of each, as rows or as columns for a table."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, text

from journal.evaluations import Told, are_trained, said
from journal.kinds import EPOCH
from journal.metrics import counts_steps
from journal.schema.neutral import number
from journal.schema.tables import RANK

_Value = TypeVar("_Value")
# Ids and numbers first: payloads are read for the epochs that are wanted only.
_EVERY = text(
    f"""
    SELECT e.key, {number("e.key")} AS number, e.id, {RANK} AS place
    FROM events e JOIN sessions s ON s.id = e.session_id
    WHERE e.run_id = :run AND e.kind = '{EPOCH}' AND e.id > :after ORDER BY place, e.id DESC
    """  # noqa: S608 - names of this package
)
_PAYLOADS = text(
    """
    SELECT id, payload, created_at FROM events WHERE id IN (SELECT CAST(value AS BIGINT) FROM json_each(:ids))
    """
)


@dataclass(frozen=True)
class RecordedEpoch:
    """What was measured in one epoch.

    Attributes:
        epoch: Its number, from 0.
        recorded_at: When it was recorded, ISO.
        metrics: Values by name; None for what was no finite number.
        fitness: By which the trainer chooses its best epoch; None where it told none.
        evaluation: Whether it was recorded as the final evaluation; None where that was not said.
        is_step: Whether it is a step of a loop, and no epoch.
    """

    epoch: int
    recorded_at: str
    metrics: Mapping[str, Any]
    fitness: float | None = None
    evaluation: bool | None = None
    is_step: bool = False

    @property
    def counted(self) -> int:
        """Its number as people are told it: epochs are counted from 1, and steps as their loop does."""
        return self.epoch if self.is_step else self.epoch + 1

    @property
    def name(self) -> str:
        """The same in words: `epoch 12`, `step 11`."""
        return f"{'step' if self.is_step else 'epoch'} {self.counted}"


def newest_epochs(connection: Connection, run_id: str, after: int = 0) -> list[Row[Any]]:
    """Return `id`, `key` and `number` of the newest record of each epoch, by their numbers.

    Args:
        connection: Any.
        run_id: The run.
        after: Id of the event after which it was recorded.
    """
    rows = connection.execute(_EVERY, {"run": run_id, "after": after})
    newest = {row[0]: row for row in rows}  # the last one of a key replaces the others
    return sorted(newest.values(), key=itemgetter(1, 2))


def recorded_epochs(
    connection: Connection, run_id: str, most: int | None = None
) -> tuple[list[RecordedEpoch], list[int]]:
    """Return the epochs of a run in their order, the final evaluation among them, and the numbers of all.

    Args:
        connection: Any.
        run_id: The run.
        most: So many are read, evenly spaced, with the first and the last two; None for all.
    """
    every = newest_epochs(connection, run_id)
    chosen = every if most is None else spaced(every, most)
    return _read(connection, [row.id for row in chosen]), [row.number for row in every if row.key[:1].isdecimal()]


def epochs_after(connection: Connection, run_id: str, event_id: int) -> tuple[list[RecordedEpoch], int]:
    """Return the epochs that arrived in the journal after an event, and the id of the last one that did.

    Args:
        connection: Any.
        run_id: The run.
        event_id: The event; 0 for all.
    """
    ids = [row.id for row in newest_epochs(connection, run_id, event_id)]
    return _read(connection, ids), max(ids, default=event_id)


def grown_epochs(
    connection: Connection, rows: Sequence[Row[Any]], after: int
) -> tuple[list[RecordedEpoch], RecordedEpoch | None]:
    """Return what a run has trained since an event, and its final evaluation if it has one.

    Args:
        connection: Any.
        rows: All of the run, from `newest_epochs`.
        after: Id of the event; 0 for all.
    """
    last_two = rows[-2:]  # they tell which is the evaluation
    read = _read(connection, [row.id for row in rows if row.id > after or row in last_two])
    told, numbers = list(zip(read, _are_trained(read), strict=True)), {row.number for row in rows if row.id > after}
    evaluation = next((one for one, is_trained in reversed(told) if not is_trained), None)
    return [one for one, is_trained in told if is_trained and one.epoch in numbers], evaluation


def _read(connection: Connection, ids: Sequence[int]) -> list[RecordedEpoch]:
    found = {row.id: row for row in connection.execute(_PAYLOADS, {"ids": json.dumps([*ids])})}
    rows = [found[id] for id in ids]
    told = _parsed([row.payload for row in rows])
    epochs = (epoch_of(each, row.created_at) for each, row in zip(told, rows, strict=True))
    return [one for one in epochs if one is not None]


def _parsed(payloads: Sequence[str]) -> list[Any]:
    """Return what payloads tell, None for each that cannot be read. All at once, which takes a third of the time."""
    try:
        found = json.loads(f"[{','.join(payloads)}]")
    except ValueError:
        found = []
    return found if len(found) == len(payloads) else [*map(_parsed_alone, payloads)]


def _parsed_alone(payload: str) -> Any:
    try:
        return json.loads(payload)
    except ValueError:
        return None


def spaced(values: Sequence[_Value], most: int) -> Sequence[_Value]:
    """Return so many of the values at most, evenly spaced, with the first and the last two: an epoch, an evaluation."""
    if len(values) <= most:
        return values
    step = (len(values) - 1) / (most - 2)
    places = sorted({*(round(step * place) for place in range(most - 1)), len(values) - 2})
    return [values[place] for place in places]


def recorded_epoch(payload: str, recorded_at: str) -> RecordedEpoch | None:
    """Return what an event of an epoch tells; None where it cannot be read.

    Args:
        payload: The event's.
        recorded_at: When it was recorded, ISO.
    """
    return epoch_of(_parsed_alone(payload), recorded_at)


def epoch_of(told: Any, recorded_at: str) -> RecordedEpoch | None:
    """Return what the parsed payload of an epoch tells; None where it cannot be read.

    Args:
        told: The payload.
        recorded_at: When it was recorded, ISO.
    """
    try:
        fitness = told.get("fitness")
        return RecordedEpoch(
            int(told["epoch"]), recorded_at, _metrics(told["metrics"]), _number(fitness), said(told), counts_steps(told)
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _metrics(told: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return metrics with None for each number that is not finite: as they are where a look at their sum tells so."""
    try:
        if math.isfinite(sum(told.values())):
            return told
    except TypeError:
        pass  # there are others among them
    return {name: _finite(value) for name, value in told.items()}


def _number(value: Any) -> float | None:
    return _finite(float(value)) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _finite(value: Any) -> Any:
    """Return a value, or None for a number that JSON has no word for: other programs write those as well."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def trained_epochs(epochs: Sequence[RecordedEpoch]) -> list[RecordedEpoch]:
    """Return the epochs without the final evaluation, which trains nothing, as `tables.epochs` counts them."""
    return [one for one, is_trained in zip(epochs, _are_trained(epochs), strict=True) if is_trained]


def _are_trained(epochs: Sequence[RecordedEpoch]) -> list[bool]:
    return list(are_trained([Told(one.evaluation, one.metrics) for one in epochs]))


def columns(epochs: Sequence[RecordedEpoch]) -> dict[str, list[Any]]:
    """Return a table by its columns: `epoch`, `recorded_at`, `fitness` if any is known, and each metric by its name.

    Args:
        epochs: Its rows.
    """
    told: dict[str, list[Any]] = {
        "epoch": [one.epoch for one in epochs],
        "recorded_at": [one.recorded_at for one in epochs],
    }
    if any(one.fitness is not None for one in epochs):
        told["fitness"] = [one.fitness for one in epochs]
    return {**told, **{name: [one.metrics.get(name) for one in epochs] for name in _names(epochs) if name not in told}}


def _names(epochs: Sequence[RecordedEpoch]) -> Iterator[str]:
    yield from dict.fromkeys(name for one in epochs for name in one.metrics)
