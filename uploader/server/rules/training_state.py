"""How far a training is, how long it took, and in what state it is. Pure.

A training is known by its events, whenever they arrive. So what is said here depends on when things happened, and is
the same for a training that is watched live and for one that is delivered days later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Literal

from uploader.server.storage.store_records import Epoch, Model, Overview
from uploader.server.times import from_text, to_text

State = Literal[
    "pending",
    "untrained",
    "starting",
    "running",
    "silent",
    "interrupted",
    "completed",
    "stopped early",
    "failed",
    "cancelled",
]
"""What a person is told. `silent` and `interrupted` are judged here where a training has not ended by its own words."""

SILENT_AFTER = timedelta(minutes=10)
"""A training that was heard of for the last time this long ago is silent: trainings print something more often."""
INTERRUPTED_AFTER = timedelta(days=1)
"""After so long it counts as interrupted, until something is heard of it again."""
INTERRUPTED = "Interrupted"
"""Code of the error with which a client reports that a training's process ended without a word."""

EVALUATION_HEADER = "Uploader-Evaluation"
"""The header in which clients say of an epoch whether it is the final evaluation: `yes` or `no`."""

_SALVAGED = "source"
_RESULTS = ".csv"
"""How a trainer's own record of its epochs ends, from which some are taken in."""


def state(model: Model | Overview, done: int, total: int | None, now: str) -> State:
    """Return the state of a model.

    Args:
        model: The model.
        done: How many epochs were trained.
        total: How many there are to be, as `limit` tells: a loop that ends by itself is never called stopped early.
        now: Current time, ISO 8601 in UTC.
    """
    was_interrupted = model.status == "failed" and (model.error or {}).get("code") == INTERRUPTED
    if was_interrupted and heard_at(model) <= (model.completed_at or ""):  # otherwise it was only thought to be dead
        return "interrupted"
    if model.status == "completed" and done and total is not None and done < total:
        return "stopped early"
    if model.status != "running" and not was_interrupted:
        return model.status
    silence = from_text(now) - from_text(heard_at(model))
    if silence >= INTERRUPTED_AFTER:
        return "interrupted"
    return "silent" if silence >= SILENT_AFTER else "running"


def heard_at(model: Model | Overview) -> str:
    """Return when the newest thing that is known of a training happened."""
    return model.heard_at or model.updated_at


def turns_at(model: Model | Overview, state: str) -> str | None:
    """Return when the state of a model turns if nothing is heard of it until then; None if it stays as it is."""
    span = {"running": SILENT_AFTER, "silent": INTERRUPTED_AFTER}.get(state)
    return None if span is None else to_text(from_text(heard_at(model)) + span)


def trained(epochs: Sequence[Epoch], total: int | None) -> list[Epoch]:
    """Return the epochs that were trained, in order, without those beyond the total (earlier trainings may have more).

    The final evaluation is reported like an epoch, and is none.
    """
    counted, most = epochs[:-1] if is_final_evaluation(epochs[-2:]) else epochs, limit(total, epochs)
    return [each for each in counted if most is None or each.epoch < most]


def limit(total: int | None, epochs: Sequence[Epoch]) -> int | None:
    """Return below which number epochs count; None where all do, as steps of a loop are numbered by itself.

    Args:
        total: How many epochs there are to be, if that is known.
        epochs: At least the last one.
    """
    return None if epochs and is_step(epochs[-1]) else total


def is_step(epoch: Epoch) -> bool:
    """Return whether it is a step of a loop, which was logged or came from another tracker, and no epoch."""
    return "revision" in epoch.data or not str(epoch.data.get(_SALVAGED, _RESULTS)).endswith(_RESULTS)


def is_final_evaluation(last: Sequence[Epoch]) -> bool:
    """Tell whether the last of the last two epochs is the final evaluation, which the client may say.

    Of one that says nothing, it has no losses in validation, and those in training are the ones of the epoch before.
    Our clients judge so, too, by `journal/evaluations.py`.
    """
    if last and last[-1].is_evaluation is not None:
        return bool(last[-1].is_evaluation)
    if len(last) < 2 or last[1].epoch != last[0].epoch + 1:
        return False
    before, after = (_metrics(each.data) for each in last)
    kinds = {name.partition("/")[0] for name in after}
    losses = {name: value for name, value in after.items() if name.startswith("train/")}
    is_evaluated = "metrics" in kinds and "val" not in kinds and bool(losses)
    return is_evaluated and all(before.get(name) == value for name, value in losses.items())


def milliseconds_of(model: Model | Overview) -> float:
    """Return how long a training took, from its start or resumption to its end or the newest thing known of it."""
    return max(0.0, milliseconds(model.started_at, model.completed_at or heard_at(model)))


def milliseconds_of_epochs(epochs: Sequence[Epoch], starts: Sequence[str]) -> dict[int, float | None]:
    """Return how long each epoch took, by its number; None where that is not known.

    An epoch begins when the one before it ended, or when the training began or was resumed after that. It is not known
    for epochs that were taken in afterwards from the trainer's own record, and across a clock that was set back.

    Args:
        epochs: Those that were trained, in order.
        starts: When the training began and was resumed.
    """
    pairs = zip([None, *epochs], epochs, strict=False)
    return {epoch.epoch: _took(epoch, before, starts) for before, epoch in pairs}


def _took(epoch: Epoch, before: Epoch | None, starts: Sequence[str]) -> float | None:
    begun = max((each for each in starts if each <= epoch.timestamp), default=None)
    if before is not None and (begun is None or before.timestamp >= begun):
        is_next = before.epoch == epoch.epoch - 1 and not _is_salvaged(before)
        begun = before.timestamp if is_next and before.timestamp <= epoch.timestamp else None
    return None if begun is None or _is_salvaged(epoch) else milliseconds(begun, epoch.timestamp)


def _is_salvaged(epoch: Epoch) -> bool:
    return isinstance(epoch.data.get(_SALVAGED), str)


def milliseconds(start: str, end: str) -> float:
    """Return the time between two stored times."""
    return (from_text(end) - from_text(start)) / timedelta(milliseconds=1)


def _metrics(data: Mapping[str, Any]) -> Mapping[str, Any]:
    metrics = data.get("metrics")
    return metrics if isinstance(metrics, dict) else {}
