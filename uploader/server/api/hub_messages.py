"""Requests of HUB's clients, validated, and the models that they read back. Pure functions, no I/O.

The field names are those that `hub-sdk` 0.0.25 reads.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from uploader.server.api.json_cost import check_cost
from uploader.server.http_errors import Invalid
from uploader.server.storage.hub_store import HubModel, HubWeights, Kind
from uploader.server.times import from_text, to_text

Status = Literal["new", "connected", "disconnected", "trained"]
"""`trained` once the final weights have arrived; before that `connected` while heartbeats arrive, `disconnected` when
something was reported but no heartbeats arrive, else `new`."""

MISSED_HEARTBEATS = timedelta(seconds=2 * 300)
"""A machine counts as disconnected after two heartbeat intervals without one."""

PARTS = ("config", "dataset", "lineage", "meta")


@dataclass(frozen=True)
class WeightsForm:
    """The form fields sent with an uploaded file."""

    kind: Kind
    epoch: int
    is_best: bool
    map: float | None


def model_parts(body: Any) -> dict[str, dict[str, Any]]:
    """Return the parts of a model that a body contains.

    Raises:
        Invalid: The body or a part is not an object.
    """
    if not isinstance(body, dict):
        raise Invalid("The body must be an object")
    parts = {name: body[name] for name in PARTS if name in body}
    for name, part in parts.items():
        if not isinstance(part, dict):
            raise Invalid(f"'{name}' must be an object")
    return parts


def metrics(body: Any) -> dict[int, dict[str, Any]]:
    """Return the metrics of epochs. The body maps each epoch's number to a JSON text that holds an object.

    Raises:
        Invalid: The body has another form.
    """
    epochs = body.get("metrics") if isinstance(body, dict) and body.get("type") == "metrics" else None
    if not isinstance(epochs, dict):
        raise Invalid("The body must be {'type': 'metrics', 'metrics': {epoch: JSON text}}")
    texts = "".join(text for text in epochs.values() if isinstance(text, str))
    check_cost(texts.encode("utf-8", "surrogatepass"))
    return {_epoch(number): _object(text) for number, text in epochs.items()}


def weights_form(fields: Mapping[str, Any]) -> WeightsForm:
    """Return the form fields sent with an uploaded file.

    Raises:
        Invalid: A field is missing or has the wrong type.
    """
    final = {"epoch": False, "final": True}.get(str(fields.get("type")))
    if final is None:
        raise Invalid("'type' must be 'epoch' or 'final'")
    is_best = final or str(fields.get("isBest")).lower() == "true"
    return WeightsForm(
        "best" if final else "last", _epoch(fields.get("epoch")), is_best, _score(fields) if final else None
    )


def status(model: HubModel, weights: Mapping[Kind, HubWeights], epochs: int, now: str) -> Status:
    """Return a model's state as HUB reported it.

    Args:
        model: The model.
        weights: Its weights.
        epochs: Number of epochs that it has metrics of.
        now: Current time, ISO 8601 in UTC.
    """
    if "best" in weights:
        return "trained"
    if model.heartbeat_at is None:
        return "disconnected" if weights or epochs else "new"
    return "connected" if from_text(now) - from_text(model.heartbeat_at) < MISSED_HEARTBEATS else "disconnected"


def turns_at(model: HubModel, state: Status) -> str | None:
    """Return when the state of a model turns unless a heartbeat arrives before; None if it stays as it is."""
    is_waited_for = state == "connected" and model.heartbeat_at is not None
    return to_text(from_text(str(model.heartbeat_at)) + MISSED_HEARTBEATS) if is_waited_for else None


def described(
    model: HubModel, weights: Mapping[Kind, HubWeights], urls: Mapping[Kind, str], epochs: int, now: str
) -> dict[str, Any]:
    """Return a model as clients read it.

    Args:
        model: The model.
        weights: Its weights.
        urls: Where to download them.
        epochs: Number of epochs that it has metrics of.
        now: Current time, ISO 8601 in UTC.
    """
    config, parent, architecture = model.config, _name(model.lineage, "parent"), _name(model.lineage, "architecture")
    arguments = {
        "batch_size": config.get("batchSize"),
        "epochs": config.get("epochs"),
        "imgsz": config.get("imageSize"),
        "patience": config.get("patience"),
        "device": config.get("device"),
        "cache": config.get("cache"),
    }
    data = model.dataset.get("name")
    chosen = {name: value for name, value in arguments.items() if value is not None}
    train_args = {"batch" if name == "batch_size" else name: value for name, value in chosen.items()}
    return {
        "id": model.id,
        "status": status(model, weights, epochs, now),
        **arguments,
        "dataset": model.dataset,
        "lineage": model.lineage,
        "meta": model.meta,
        "data": data,
        "train_args": train_args | ({"data": data} if data else {}),
        "cfg": f"{architecture}.yaml" if architecture else None,
        "is_pretrained": bool(parent),
        "is_custom": not parent,
        "has_last_weights": "last" in weights,
        "has_best_weights": "best" in weights,
        "resume": urls.get("last"),
        "weights": urls.get("best") or parent,
        "checkpoints": {kind: _shown(each) for kind, each in weights.items()},
        "createdAt": model.created_at,
        "updatedAt": model.updated_at,
    }


def _name(lineage: Mapping[str, Any], of: str) -> Any:
    """Return the name of a model's parent or architecture. The lineage is whatever JSON a client sent."""
    origin = lineage.get(of)
    return origin.get("name") if isinstance(origin, dict) else None


def _shown(weights: HubWeights) -> dict[str, Any]:
    return {
        "sha256": weights.sha256,
        "size": weights.size,
        "epoch": weights.epoch,
        "isBest": bool(weights.is_best),
        "map": weights.map,
    }


def _epoch(value: Any) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = -1
    if not 0 <= number < 2**63:
        raise Invalid("an epoch must be a number, 0 or greater")
    return number


def _object(text: Any) -> dict[str, Any]:
    try:
        value = json.loads(text, parse_constant=lambda _: None, parse_float=_finite)
    except (TypeError, ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Invalid("the metrics of an epoch must be a JSON text that holds an object")
    return value


def _finite(text: str) -> float | None:
    """Return a number, or None if it would be parsed as infinity, which JSON cannot express."""
    number = float(text)
    return number if math.isfinite(number) else None


def _score(fields: Mapping[str, Any]) -> float:
    try:
        score = float(fields.get("map", 0))
    except (TypeError, ValueError):
        score = math.nan
    if not math.isfinite(score):
        raise Invalid("'map' must be a number")
    return score
