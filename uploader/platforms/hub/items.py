"""What HUB has of a run once something was sent to it, and what it shows of that. Pure.

HUB's API shows which model it is and whether it has weights. The metrics of its epochs, and the size and digest of its
weights, are compared where a server shows them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from journal.kinds import CHECKPOINT, EPOCHS_TOGETHER, FINAL, REGISTRATION
from journal.records import PlannedDelivery
from uploader.platforms.hub import RESUMED
from uploader.platforms.reading_back import Item, ItemKind, Place, Shown

TRAINED = "trained"
"""Status of a model whose training has ended."""

_NAMES = {"batchSize": "batch_size", "imageSize": "imgsz"}
"""How members of a model's configuration are called when it is shown, where that differs."""
_WEIGHTS = {"best": "weights", "last": "resume"}
"""Where HUB shows the address of each of a model's files."""
_EPOCHS_UNTOLD = "HUB's API has no request for the metrics of a model, and this server none of its own"
_WEIGHTS_UNTOLD = "HUB says that there are weights, and neither their size nor their digest; --deep downloads them"


def items_of(delivery: PlannedDelivery) -> Iterator[Item]:
    """Yield what a delivery leaves at HUB; later ones take the place of earlier ones.

    Raises:
        Exception: Its body is damaged.
    """
    data = json.loads(delivery.body)
    if delivery.kind == REGISTRATION:
        yield Item("registration", "", _registration(data), is_lasting=True)
    elif delivery.kind == EPOCHS_TOGETHER:
        for number, metrics in data["metrics"].items():
            yield Item("epoch", number, {"metrics": json.loads(metrics)})
    elif delivery.kind == CHECKPOINT:
        file = {"size": data["size"], "sha256": data["sha256"]}
        is_final = data.get("role", delivery.role) == FINAL
        yield Item("checkpoint", "best" if is_final else "last", file)
        if is_final:
            yield Item("checkpoint", "last", None)  # it may never have been sent
            yield Item("completion", "", {"status": (TRAINED,)})


def _registration(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a model shows that was created by a request; of one that existed before, only that it is there.

    A resumed training goes on with the model that it began with, if that can be found.
    """
    if RESUMED in request:
        return {}
    config = {_NAMES.get(name, name): value for name, value in (request.get("config") or {}).items()}
    parts = {name: request[name] for name in ("dataset", "lineage", "meta") if name in request}
    return {**config, **parts}


def shown(model: Mapping[str, Any], epochs: object) -> Shown:
    """Return what a model shows.

    Args:
        model: As HUB describes it.
        epochs: The metrics of its epochs, as a list; anything else where the server shows none.
    """
    items: dict[Place, list[Mapping[str, Any]]] = {("registration", ""): [model]}
    fields: dict[ItemKind, frozenset[str]] = {"registration": frozenset({"meta"}), "completion": frozenset({"status"})}
    untold: dict[ItemKind, str] = {}
    if model.get("status") is not None:
        items["completion", ""] = [{"status": model["status"]}]
    if isinstance(epochs, list):
        fields["epoch"] = frozenset({"metrics"})
        for each in epochs:
            if isinstance(each, dict):
                metrics = {name: value for name, value in each.items() if name != "epoch"}
                items.setdefault(("epoch", str(each.get("epoch"))), []).append({"metrics": metrics})
    else:
        untold["epoch"] = _EPOCHS_UNTOLD
    weights = _weights(model)
    if any(model.get(f"has_{name}_weights") for name in _WEIGHTS) and not weights:
        untold["checkpoint"] = _WEIGHTS_UNTOLD
    else:
        fields["checkpoint"] = frozenset({"size"})
    urls = {name: model[place] for name, place in _WEIGHTS.items() if model.get(f"has_{name}_weights")}
    return Shown(items | weights, fields, untold, urls)


def _weights(model: Mapping[str, Any]) -> dict[Place, list[Mapping[str, Any]]]:
    listed = model.get("checkpoints")
    files: Sequence[tuple[str, Any]] = list(listed.items()) if isinstance(listed, dict) else []
    return {("checkpoint", name): [file] for name, file in files if isinstance(file, dict) and "size" in file}
