"""Applying training events to the store."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from uploader.server.http_errors import Conflict
from uploader.server.rules import changes, models, uploads
from uploader.server.rules.messages import TrainingEvent
from uploader.server.storage.ordering import IGNORED, is_older
from uploader.server.storage.statements import Rows
from uploader.server.storage.store_records import Model

_ENDS = frozenset({"training_complete", "training_failed"})


def record(rows: Rows, event: TrainingEvent) -> dict[str, Any]:
    """Apply any event except `training_started`.

    Returns:
        `modelId`, and the fields of `models.CANCELLED` if the model was cancelled.

    Raises:
        NotFound: There is no such model or upload.
        Conflict: The checkpoint announced has not arrived, or belongs to another run.
        Invalid: A field of the data is missing or has the wrong type.
    """
    model = models.find(rows, event)
    is_kept = True
    if event.event == "checkpoint_saved":
        uploads.promote(rows, model, event.data, event.when)
    else:
        is_kept = _apply(rows, model, event, changes.from_event(event.event, event.data, model, event.when))
    ignored = {} if is_kept else {"ignored": IGNORED}
    return {"modelId": model.id, **ignored, **(models.CANCELLED if model.status == "cancelled" else {})}


def cancel(rows: Rows, model: Model, now: str) -> None:
    """Cancel a training; the answer to its next request tells it to stop.

    Raises:
        Conflict: The training has already ended.
    """
    if model.status == "cancelled":
        return
    if model.status in ("completed", "failed"):
        raise Conflict(f"The training has already {model.status}")
    rows.update_model(model.id, {"status": "cancelled", "completed_at": now, "updated_at": now})


def _apply(rows: Rows, model: Model, event: TrainingEvent, changed: changes.Changes) -> bool:
    """Apply changes and return True, or return False if the store already holds something newer."""
    if changed.chunk:
        if not rows.put_chunk(model.id, changed.chunk, event.order):
            return False
    elif changed.epoch:
        epoch = replace(changed.epoch, is_evaluation=event.is_evaluation)
        if not rows.put_epoch(model.id, epoch, event.order):
            return False
    elif changed.medium:
        if not rows.put_medium(model.id, changed.medium, event.order):
            return False
    elif is_older(event.order, model.rank):
        return False
    if changed.model:
        rows.update_model(model.id, changed.model | _rank(event))
    return True


def _rank(event: TrainingEvent) -> dict[str, Any]:
    """Return the rank that an end gives its model; other events leave the rank as it is."""
    return {"rank": event.order.rank if event.order else None} if event.event in _ENDS else {}
