"""What the platform has of a run once something was sent to it, and what it shows of that. Pure.

Its public API shows of an epoch the number, the metrics and the fitness; of console text the chunks; of a checkpoint
the size; and the results under names of their own. The local platform shows more, and what it shows is compared.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from journal.kinds import CHECKPOINT, COMPLETE, CONSOLE, DATASET, EPOCH, FAILED, MEDIA, REGISTRATION
from journal.records import PlannedDelivery
from uploader.platforms.base import DESCRIPTION, LICENSE, TAGS
from uploader.platforms.reading_back import LISTED, Item, ItemKind, Place, Shown
from uploader.platforms.ultralytics.listed_items import medium

_FIELDS: Mapping[ItemKind, frozenset[str]] = {
    "registration": frozenset({"trainArgs", "environment", "epochs"}),
    "epoch": frozenset({"epoch", "metrics", "fitness"}),
    "console": frozenset({"chunkId", "content", "lineCount"}),
    "results": frozenset({"metrics", "bestEpoch", "bestFitness", "classNames"}),
    "plots": frozenset({"plots"}),
    "completion": frozenset({"status", "error"}),
    "detail": frozenset({DESCRIPTION, LICENSE, TAGS, "owner", "dataset", "version", "sha256"}),
}
"""What the SDK 0.1.99 says that a model has."""
_REGISTRATION = ("trainArgs", "environment", "epochs", "device")
_RESULTS = ("metrics", "bestEpoch", "bestFitness")
_UNLICENSED = "None"
"""The word of the platform's for a model without a licence."""
_SIZE_UNTOLD = "it says that there are weights, and not how large they are; --deep downloads them"


def items_of(delivery: PlannedDelivery) -> Iterator[Item]:
    """Yield what a delivery leaves on the platform; later ones take the place of earlier ones.

    Raises:
        Exception: Its body is damaged.
    """
    data = json.loads(delivery.body)
    if delivery.kind == REGISTRATION:
        yield Item("registration", "", {name: data[name] for name in _REGISTRATION if data.get(name) is not None})
        yield Item("completion", "", None)  # it goes on
    elif delivery.kind == EPOCH:
        yield Item("epoch", str(data["epoch"]), data)
    elif delivery.kind == CONSOLE:
        chunk = {name: data.get(name) for name in _FIELDS["console"]}
        yield Item("console", str(data["chunkId"]), chunk)
    elif delivery.kind == COMPLETE:
        yield from _completed(data)
    elif delivery.kind == FAILED:
        error = data.get("error")
        message = error.get("message") if isinstance(error, dict) else error
        yield Item("completion", "", {"status": ("failed", "interrupted"), **({"error": message} if message else {})})
    elif delivery.kind == CHECKPOINT:
        yield Item("checkpoint", "", {"size": data["size"], "sha256": data["sha256"]})
    elif delivery.kind == MEDIA:
        yield Item("media", *medium(data))


def _completed(data: Mapping[str, Any]) -> Iterator[Item]:
    results = {**(data.get("results") or {}), "classNames": data.get("classNames")}
    plots = data.get("plots") or []
    yield Item("results", "", {name: value for name, value in results.items() if value is not None})
    yield Item("plots", "", {"plots": plots} if plots else None)
    yield Item("completion", "", {"status": ("completed",)})


def shown(model: Mapping[str, Any], path: str) -> Shown:
    """Return what a model shows.

    Args:
        model: As the platform shows it by itself, not in a list, where it is without plots.
        path: Where it is; its files and other lists are below that.
    """
    items: dict[Place, Sequence[Mapping[str, Any]]] = {}
    if isinstance(model.get("environment"), dict) or isinstance(model.get("trainArgs"), dict):
        items["registration", ""] = [model]
    items |= _by_key("epoch", model.get("trainResults"), "epoch")
    items |= _by_key("console", model.get("consoleChunks"), "chunkId")
    if results := _results(model):
        items["results", ""] = [results]
    if model.get("plots"):
        items["plots", ""] = [{"plots": model["plots"]}]
    if model.get("status") is not None:
        items["completion", ""] = [{"status": model["status"], **_error(model)}]
    items |= dict(_details(model))
    weights, fields, untold = _weights(model)
    arrived_at = model.get("arrivedAt") if isinstance(model.get("arrivedAt"), str) else None
    times = dict(_times(model)) if arrived_at else {}
    files = {"": f"{path}/files"}
    shown = Shown(items | weights, {**_FIELDS, **fields}, untold, files, times=times, arrived_at=arrived_at)
    return replace(shown, lists=path)


def _details(model: Mapping[str, Any]) -> Iterator[tuple[Place, Sequence[Mapping[str, Any]]]]:
    """Yield what a person may have wanted to be said of a model; what is not said is empty."""
    metadata = model.get("metadata")
    own: Mapping[str, Any] = metadata if isinstance(metadata, dict) else {}
    yield ("detail", DESCRIPTION), [{DESCRIPTION: model.get("description") or ""}]
    yield ("detail", LICENSE), [{LICENSE: model.get("license") or _UNLICENSED}]
    yield ("detail", TAGS), [{TAGS: own.get(TAGS) or []}]
    if isinstance(own.get(DATASET), dict):
        yield ("detail", DATASET), [own[DATASET]]


def _times(model: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
    """Yield what a local platform tells of times; the public one has those of the requests there."""
    epochs = _by_key("epoch", model.get("trainResults"), "epoch")
    told: dict[Place, object] = {place: values[0].get("timestamp") for place, values in epochs.items()}
    told |= {("registration", ""): model.get("startedAt"), ("completion", ""): model.get("completedAt")}
    yield from ((place, time) for place, time in told.items() if isinstance(time, str))


def replaced(shown: Shown, why: str) -> Shown:
    """Return what can be said of a session's items once later ones may have taken their place: nothing.

    Args:
        shown: What the model shows.
        why: Why they may have.
    """
    return Shown(untold=dict.fromkeys((*shown.fields, *shown.untold, *LISTED), why))


def _by_key(kind: ItemKind, listed: object, key: str) -> dict[Place, list[Mapping[str, Any]]]:
    found: dict[Place, list[Mapping[str, Any]]] = {}
    for each in listed if isinstance(listed, list) else []:
        if isinstance(each, dict):
            found.setdefault((kind, _text(each.get(key))), []).append(each)
    return found


def _text(key: object) -> str:
    """Return a key as text; the SDK's types allow numbers to come as floats."""
    return str(int(key)) if isinstance(key, float) and key.is_integer() else str(key)


def _results(model: Mapping[str, Any]) -> Mapping[str, Any]:
    results = model.get("results")
    own = results if isinstance(results, dict) else {}
    return {**own, **{name: model[name] for name in (*_RESULTS, "classNames") if model.get(name) is not None}}


def _error(model: Mapping[str, Any]) -> Mapping[str, Any]:
    error = model.get("trainingError")
    return {"error": error.get("message")} if isinstance(error, dict) else {}


def _weights(
    model: Mapping[str, Any],
) -> tuple[dict[Place, list[Mapping[str, Any]]], dict[ItemKind, frozenset[str]], dict[ItemKind, str]]:
    """Return the weights as an item, the fields that are shown of such, and why there are none."""
    file = model.get("file")
    listed = file.items() if isinstance(file, dict) else ()
    told = {name: value for name, value in listed if name in {"size", "sha256"} and value is not None}
    if told and model.get("hasWeights"):
        return {("checkpoint", ""): [told]}, {"checkpoint": frozenset({"size"})}, {}
    if model.get("hasWeights"):
        return {}, {}, {"checkpoint": _SIZE_UNTOLD}
    return {}, {"checkpoint": frozenset({"size"})}, {}
