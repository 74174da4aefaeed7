"""The changes that each training event makes to its model, decided without I/O.

State of a model:

    training_started ──> running ── training_complete ──> completed
                         │     └─── training_failed ────> failed
                         └── cancelled by the user ──> cancelled

Another training_started on the same model (a resumed training) makes it running again, unless it was cancelled: a
cancelled model keeps its state whatever arrives, though partial results of its training are still accepted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from uploader.server.http_errors import Invalid
from uploader.server.rules.messages import MEDIA, mapping, optional_integer
from uploader.server.storage.store_records import ConsoleChunk, Epoch, Medium, Model, Status
from uploader.server.times import When


@dataclass(frozen=True)
class Changes:
    """Changes to one model: fields to set, and an epoch, a console chunk, or an image or a plot to store."""

    model: dict[str, Any] = field(default_factory=dict)
    epoch: Epoch | None = None
    chunk: ConsoleChunk | None = None
    medium: Medium | None = None


def from_event(event: str, data: dict[str, Any], model: Model, when: When) -> Changes:
    """Return the changes that an event makes to `model`.

    Args:
        event: Any event except `training_started` and `checkpoint_saved`, which concern runs and files.
        data: The event's data as received.
        model: The model before the event.
        when: When the event came and happened.

    Raises:
        Invalid: A field of the data is missing or has the wrong type.
    """
    changes = _RULES[event](data, when)
    kept = {"status"} if model.status == "cancelled" else set()
    if model.completed_at and _is_same_end(changes, model, when):
        kept.add("completed_at")
    # An epoch or a piece of text has a time of its own; to write it to the model's large row, too, would cost as much.
    heard = (
        {}
        if changes.epoch or changes.chunk or changes.medium
        else {"heard_at": max(model.heard_at or "", when.happened)}
    )
    return replace(changes, model=heard | {name: value for name, value in changes.model.items() if name not in kept})


def _is_same_end(changes: Changes, model: Model, when: When) -> bool:
    """Tell whether an end is the known one, reported again without its time.

    A cancelled training ends some time after it was cancelled, so its first end is another one.
    """
    is_known = changes.model.get("status") == model.status
    if model.status == "cancelled":
        is_known = model.results is not None or model.error is not None
    return is_known and not when.is_told


def from_start(data: dict[str, Any], when: When) -> dict[str, Any]:
    """Return the model fields that a `training_started` sets, for a new model and for a resumed one.

    Raises:
        Invalid: A field has the wrong type.
    """
    changes: dict[str, Any] = {
        "status": "running",
        "started_at": when.begun,
        "heard_at": when.happened,
        "updated_at": when.arrived,
        "completed_at": None,
        "error": None,
        "train_args": mapping(data.get("trainArgs"), "'trainArgs'"),
        "environment": mapping(data.get("environment"), "'environment'"),
        "system": mapping(data.get("system"), "'system'"),
        "device": None if data.get("device") is None else str(data["device"]),
        "epochs": optional_integer(data, "epochs"),
    }
    return {**changes, **_model_info(data)}


def _epoch_end(data: dict[str, Any], when: When) -> Changes:
    epoch = _required_integer(data, "epoch")
    mapping(data.get("metrics"), "'metrics'")
    total = optional_integer(data, "total_epochs") or optional_integer(data, "epochs_total")
    changes = _model_info(data) | ({"epochs": total} if total else {})
    return Changes(changes, epoch=Epoch(epoch, data, when.happened, when.arrived))


def _console_output(data: dict[str, Any], when: When) -> Changes:
    chunk_id = data.get("chunkId")
    if not isinstance(chunk_id, str):
        chunk_id = _required_integer(data, "chunkId")
    if not isinstance(data.get("content"), str):
        raise Invalid("'content' must be a string")
    return Changes(chunk=ConsoleChunk(chunk_id, data, when.happened, when.arrived))


def _media(data: dict[str, Any], when: When) -> Changes:
    name = data.get("name")
    if not isinstance(name, str):
        raise Invalid("'name' must be a string")
    return Changes(medium=Medium(name, _required_integer(data, "step"), data, when.happened, when.arrived))


def _training_complete(data: dict[str, Any], when: When) -> Changes:
    details = {
        "error": None,
        "results": mapping(data.get("results"), "'results'"),
        "class_names": _optional_list(data, "classNames"),
        "plots": _optional_list(data, "plots"),
    }
    return Changes(_end("completed", when) | details)


def _training_failed(data: dict[str, Any], when: When) -> Changes:
    cause = data.get("error")
    error = cause if isinstance(cause, dict) else {"message": str(cause or "Training failed")}
    code = data.get("code")
    return Changes(_end("failed", when) | {"error": error | ({} if code is None else {"code": str(code)})})


def _system_metrics(data: dict[str, Any], when: When) -> Changes:
    return Changes({"system": data, "updated_at": when.arrived})


def _training_progress(data: dict[str, Any], when: When) -> Changes:
    return Changes({"progress": data, "updated_at": when.arrived})


_RULES: dict[str, Callable[[dict[str, Any], When], Changes]] = {
    "epoch_end": _epoch_end,
    "console_output": _console_output,
    MEDIA: _media,
    "training_complete": _training_complete,
    "training_failed": _training_failed,
    "system_metrics": _system_metrics,
    "training_progress": _training_progress,
}


def _end(status: Status, when: When) -> dict[str, Any]:
    return {"status": status, "completed_at": when.happened, "updated_at": when.arrived}


def _model_info(data: dict[str, Any]) -> dict[str, Any]:
    info = mapping(data.get("modelInfo"), "'modelInfo'")
    return {"model_info": info} if info else {}


def _required_integer(data: dict[str, Any], name: str) -> int:
    value = optional_integer(data, name)
    if value is None:
        raise Invalid(f"'{name}' must be an integer")
    return value


def _optional_list(data: dict[str, Any], name: str) -> list[Any] | None:
    value = data.get(name)
    if value is not None and not isinstance(value, list):
        raise Invalid(f"'{name}' must be a list")
    return value
