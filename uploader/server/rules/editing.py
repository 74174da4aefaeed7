"""What clients set of a model directly, without a training's events: `POST /api/models` and `PATCH` of a model. Pure.

The fields are those of `models.create` and `models.update` in the SDK 0.1.99, and each is accepted in both.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, get_args

from uploader.server.http_errors import Invalid, NotHere
from uploader.server.rules.messages import mapping, optional_integer, text
from uploader.server.storage.store_records import Epoch, Model, Status
from uploader.server.times import checked

MAX_METADATA = 500_000
"""Most characters of a model's metadata as JSON text."""
MAX_KEY = 128
"""Most characters of a key in it, at any depth."""
MAX_NAME = 200
"""Most characters of a model's name: a person types it to delete the model."""
_DEPTH = 64
_QUOTED = 40
# Control characters, line separators, those that turn the direction of writing, and halves of surrogate pairs.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

LICENSES = frozenset(
    {
        "None",
        "Apache-2.0",
        "MIT",
        "BSD-3-Clause",
        "AGPL-3.0",
        "GPL-3.0",
        "LGPL-3.0",
        "MPL-2.0",
        "EUPL-1.1",
        "Unlicense",
        "CC0-1.0",
        "Ultralytics-Enterprise",
        "Other",
    }
)
TASKS = frozenset({"detect", "segment", "semantic", "depth", "classify", "pose", "obb"})
ENDED: frozenset[Status] = frozenset({"completed", "failed", "cancelled"})


@dataclass(frozen=True)
class Edit:
    """Changes to one model: fields to set, and epochs to store."""

    fields: dict[str, Any]
    epochs: tuple[Epoch, ...] = ()


def edit(body: dict[str, Any], model: Model | None, now: str) -> Edit:
    """Return the changes that a request asks for.

    Args:
        body: The request's JSON object. Fields that are unknown are ignored.
        model: The model, or None if it is to be created.
        now: Current time, ISO 8601 in UTC.

    Raises:
        Invalid: A field has the wrong type or is too large, or none is known.
        NotHere: It asks for something that this server does not do.
    """
    if "projectId" in body:
        raise NotHere("This server does not move models to another project")
    properties = {name: check(body[name], name) for name, check in _PROPERTIES.items() if name in body}
    fields = {column: check(body[name], name) for name, (column, check) in _COLUMNS.items() if name in body}
    results = {name: check(body[name], name) for name, check in _RESULTS.items() if name in body}
    epochs = tuple(_epochs(body.get("trainResults"), now))
    if not (properties or fields or results or "trainResults" in body):
        raise Invalid(f"Nothing to set: the known fields are {', '.join([*_COLUMNS, *_RESULTS, *_PROPERTIES])}")
    if properties:
        fields["properties"] = {**((model and model.properties) or {}), **properties}
    if results:
        fields["results"] = {**((model and model.results) or {}), **results}
    return Edit({**fields, **_end(fields, model, now), "updated_at": now}, epochs)


def _end(fields: dict[str, Any], model: Model | None, now: str) -> dict[str, Any]:
    """Return what a new status says of the end of the training."""
    status = fields.get("status")
    if status is None:
        return {}
    if status not in ENDED:
        return {"completed_at": None}
    return {"completed_at": fields.get("completed_at") or (model and model.completed_at) or now}


def _epochs(results: Any, now: str) -> Iterator[Epoch]:
    if results is not None and not isinstance(results, list):
        raise Invalid("'trainResults' must be a list")
    for each in results or ():
        result = mapping(each, "Each of 'trainResults'")
        epoch = optional_integer(result, "epoch", minimum=0)
        if epoch is None:
            raise Invalid("Each of 'trainResults' needs its 'epoch'")
        mapping(result.get("metrics"), "'metrics'")
        timestamp = result.get("timestamp")
        data = {name: value for name, value in result.items() if name != "timestamp"}
        yield Epoch(epoch, data, checked(timestamp, "timestamp") if timestamp else now, now)


def checked_metadata(value: Any, name: str) -> dict[str, Any]:
    """Return a client's own JSON, within the limits of its size, keys and depth.

    Raises:
        Invalid: It exceeds one.
    """
    found = mapping(value, f"'{name}'")
    _check_parts(name, [found])
    if len(json.dumps(found, ensure_ascii=False, separators=(",", ":"))) > MAX_METADATA:
        raise Invalid(f"'{name}' may have {MAX_METADATA:,} characters as JSON")
    return found


def checked_line(value: str, name: str, most: int) -> str:
    """Return a short text that people read and type: one line, of characters that are seen.

    Raises:
        Invalid: It is longer, or has others.
    """
    shown = repr(value if len(value) <= _QUOTED else f"{value[:_QUOTED]}…")
    if len(value) > most:
        raise Invalid(f"{name} {shown} has {len(value):,} characters: there may be {most}")
    if _UNPRINTABLE.search(value):
        raise Invalid(f"{name} {shown} has characters that control a screen or turn the direction of writing")
    return value


def _name(value: Any, name: str) -> str:
    return checked_line(text(value, name), "The name", MAX_NAME)


def _check_parts(name: str, parts: list[Any]) -> None:
    """Check keys and depth, level by level: readers of deeper values would exceed their own recursion limit."""
    for _ in range(_DEPTH):
        if any(len(key) > MAX_KEY for each in parts if isinstance(each, dict) for key in each):
            raise Invalid(f"The keys in '{name}' may have {MAX_KEY} characters")
        inner = (each.values() if isinstance(each, dict) else each for each in parts if isinstance(each, (dict, list)))
        parts = list(chain.from_iterable(inner))
    if parts:
        raise Invalid(f"'{name}' may have {_DEPTH} levels")


def _mapping(value: Any, name: str) -> dict[str, Any]:
    return mapping(value, f"'{name}'")


def _error(value: Any, name: str) -> dict[str, Any] | None:
    if value is None:
        return None
    return {**mapping(value, f"'{name}'"), "message": text(value.get("message"), f"{name}.message")}


def _integer(value: Any, name: str) -> int | None:
    return optional_integer({name: value}, name)


def _number(value: Any, name: str) -> float | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
        raise Invalid(f"'{name}' must be a number")
    return value


def _optional_text(value: Any, name: str) -> str | None:
    if value is not None and not isinstance(value, str):
        raise Invalid(f"'{name}' must be a string")
    return value


def _bool(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise Invalid(f"'{name}' must be true or false")
    return value


def _one_of(allowed: frozenset[str]) -> Callable[[Any, str], str]:
    def check(value: Any, name: str) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise Invalid(f"'{name}' must be one of {', '.join(sorted(allowed))}")
        return value

    return check


_Check = Callable[[Any, str], Any]
_COLUMNS: dict[str, tuple[str, _Check]] = {
    "metadata": ("metadata", checked_metadata),
    "status": ("status", _one_of(frozenset(get_args(Status)))),
    "trainArgs": ("train_args", checked_metadata),
    "environment": ("environment", _mapping),
    "epochs": ("epochs", _integer),
    "completedAt": ("completed_at", checked),
    "trainingError": ("error", _error),
}
_RESULTS: dict[str, _Check] = {"bestEpoch": _integer, "bestFitness": _number, "metrics": _mapping}
_PROPERTIES: dict[str, _Check] = {
    "starred": _bool,
    "name": _name,
    "color": _optional_text,
    "description": _optional_text,
    "license": _one_of(LICENSES),
    "datasetSlug": _optional_text,
    "version": _optional_text,
    "docs": _optional_text,
    "task": _one_of(TASKS),
}
