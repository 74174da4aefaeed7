"""What clients of HUB's API say, checked, and what they read back. Pure functions, no I/O.

The names of what is read are those that `hub-sdk` 0.0.25 looks for.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from uploader.server.api.json_cost import require_affordable
from uploader.server.http_errors import Invalid
from uploader.server.storage.hub_store import HubModel, HubWeights, Kind

Status = Literal["new", "connected", "disconnected", "trained"]
"""`connected` while heartbeats come, `disconnected` when something was reported and none come, `trained` when the final
weights arrived, else `new`."""

MISSED_HEARTBEATS = timedelta(seconds=2 * 300)
"""A machine that says nothing for two intervals is gone."""

PARTS = ("config", "dataset", "lineage", "meta")


@dataclass(frozen=True)
class WeightsForm:
    """The fields beside an uploaded file."""

    kind: Kind
    epoch: int
    is_best: bool
    map: float | None


def model_parts(body: Any) -> dict[str, dict[str, Any]]:
    """Read the parts of a model that a body names.

    Raises:
        Invalid: The body or a part is no object.
    """
    if not isinstance(body, dict):
        raise Invalid("The body must be an object")
    parts = {name: body[name] for name in PARTS if name in body}
    for name, part in parts.items():
        if not isinstance(part, dict):
            raise Invalid(f"'{name}' must be an object")
    return parts


def metrics(body: Any) -> dict[int, dict[str, Any]]:
    """Read the metrics of epochs: each is an object as JSON text, under its number.

    Raises:
        Invalid: They are not.
    """
    epochs = body.get("metrics") if isinstance(body, dict) and body.get("type") == "metrics" else None
    if not isinstance(epochs, dict):
        raise Invalid("The body must be {'type': 'metrics', 'metrics': {epoch: JSON text}}")
    texts = "".join(text for text in epochs.values() if isinstance(text, str))
    require_affordable(texts.encode("utf-8", "surrogatepass"))
    return {_epoch(number): _object(text) for number, text in epochs.items()}


def weights_form(fields: Mapping[str, Any]) -> WeightsForm:
    """Read the fields beside an uploaded file.

    Raises:
        Invalid: One is missing or of the wrong kind.
    """
    final = {"epoch": False, "final": True}.get(str(fields.get("type")))
    if final is None:
        raise Invalid("'type' must be 'epoch' or 'final'")
    is_best = final or str(fields.get("isBest")).lower() == "true"
    return WeightsForm(
        "best" if final else "last", _epoch(fields.get("epoch")), is_best, _score(fields) if final else None
    )


def status(model: HubModel, weights: Mapping[Kind, HubWeights], epochs: int, now: str) -> Status:
    """Return the state that HUB showed of a model.

    Args:
        model: The model.
        weights: Its weights.
        epochs: Of how many epochs it has metrics.
        now: ISO 8601 in UTC.
    """
    if "best" in weights:
        return "trained"
    if model.heartbeat_at is None:
        return "disconnected" if weights or epochs else "new"
    return "connected" if _moment(now) - _moment(model.heartbeat_at) < MISSED_HEARTBEATS else "disconnected"


def described(
    model: HubModel, weights: Mapping[Kind, HubWeights], urls: Mapping[Kind, str], epochs: int, now: str
) -> dict[str, Any]:
    """Return a model as clients read it.

    Args:
        model: The model.
        weights: Its weights.
        urls: Where to get them.
        epochs: Of how many epochs it has metrics.
        now: ISO 8601 in UTC.
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
    """Return the name of what a model comes from; a lineage holds whatever a client has said."""
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
        raise Invalid("an epoch must be a number from 0 on")
    return number


def _object(text: Any) -> dict[str, Any]:
    try:
        value = json.loads(text, parse_constant=lambda _: None, parse_float=_finite)
    except (TypeError, ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Invalid("the metrics of an epoch must be an object as JSON text")
    return value


def _finite(text: str) -> float | None:
    """Return a number, None for one that is read as infinity: no JSON can hold that."""
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


def _moment(text: str) -> datetime:
    # Python 3.10 does not read the "Z".
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
