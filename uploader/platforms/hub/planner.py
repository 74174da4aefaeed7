"""Plans what HUB is sent of a run: a model, the metrics of many epochs at once, checkpoints. Pure.

As upstream 8.3.245 does it:

- An epoch's metrics are the training losses and the validation metrics; epoch 0 also has facts about the model. What
  Ultralytics Platform gets in addition (`lr`, fitness, console, system, results) is not sent.
- The final evaluation, which has no validation losses and trains nothing, replaces the last epoch before 8.4.52. In the
  journal its event has a number of its own; here it gets that of the last epoch. Since then, upstream gives it the next
  number.
- While a training runs, its `last.pt` is uploaded; at its end, `best.pt` with the mAP of the final evaluation.

Unlike upstream, waiting epochs are sent together, and the model is created when the journal is drained. Its `meta`
holds the run's uuid, so that it is found again when the answer to its creation was lost.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from journal.encoding import encode
from journal.evaluations import Told, follows, said
from journal.kinds import CHECKPOINT, EPOCH, EPOCHS_TOGETHER, FINAL, LAST, REGISTRATION
from journal.records import Event, PlannedDelivery
from uploader.platforms.base import NOT_RESUMED
from uploader.platforms.hub import HUB, RESUMED
from uploader.platforms.hub.items import items_of
from uploader.platforms.plans import Plan, Planning
from uploader.platforms.stages import milestone, next_stage

KINDS = frozenset({REGISTRATION, EPOCH, CHECKPOINT})
"""Kinds of events that matter to HUB."""
CONTEXT = {REGISTRATION: 1, EPOCH: 2}
"""How many of the last events of a kind `plan` needs, even if they are planned already."""
ROLES = frozenset({LAST, FINAL})
"""Roles of the checkpoints that HUB is sent."""
COUNTED_SINCE = (8, 4, 52)
"""The first version of Ultralytics that counts the final evaluation as one epoch more, and not as the last."""
LONGEST_METRICS = 256 * 1024
"""Most bytes of metrics in one request, unless a single epoch has more."""

_MAP = "metrics/mAP50-95(B)"
_UNSENT = frozenset({"lr", "fitness"})
_FACTS = {"parameters": "model/parameters", "gflops": "model/GFLOPs", "speedMs": "model/speed_PyTorch(ms)"}


@dataclass(frozen=True)
class _Epoch:
    """One `epoch_end`.

    Attributes:
        event: The event.
        number: The epoch's number at HUB.
        metrics: The metrics that HUB is sent.
        replaces: Whether the epoch before has the same number and must arrive first.
        trained: The last epoch trained by then; a final evaluation trains none.
    """

    event: Event
    number: int
    metrics: Mapping[str, Any]
    replaces: bool
    trained: int


def plan(events: Sequence[Event], stage: int, before: Sequence[Event] = (), generation: int = 0) -> Plan:
    """Plan the next events of one run.

    Args:
        events: At least one, in order, of `KINDS`; the first follows the last planned one.
        stage: Stage of the run's last planned delivery, 0 if there is none.
        before: The run's last planned events of `CONTEXT`, in order.
        generation: Generation of the session of the last event before them, 0 if there is none.

    Raises:
        Exception: One of them is damaged.
    """
    epochs = {epoch.event.id: epoch for epoch in _epochs([*before, *events])}
    latest = [epochs[event.id] for event in before if event.kind == EPOCH]
    deliveries: list[PlannedDelivery] = []
    for section in _sections(events):
        latest += [epochs[event.id] for event in section if event.kind == EPOCH]
        if _is_milestone(section[0]):
            stage = milestone(stage)
            deliveries.append(_milestone_delivery(section[0], stage, latest[-1:]))
        else:
            is_other = generation not in {0, section[0].generation}
            first = next_stage(stage, section[0].kind, is_other_session=is_other)
            if made := list(_deliveries(section, epochs, first)):
                stage = made[-1].stage
                deliveries += made
        generation = section[0].generation
    return Plan(tuple(deliveries), events[-1].id, stage)


def _sections(events: Iterable[Event]) -> Iterator[list[Event]]:
    """Yield each milestone alone, and what one session records between two of them together."""
    section: list[Event] = []
    for event in events:
        is_other = bool(section) and event.generation != section[0].generation
        if section and (is_other or _is_milestone(event) or _is_milestone(section[0])):
            yield section
            section = []
        section.append(event)
    if section:
        yield section


def _is_milestone(event: Event) -> bool:
    return event.kind == REGISTRATION or (event.kind == CHECKPOINT and event.key == FINAL)


def _milestone_delivery(event: Event, stage: int, latest: Sequence[_Epoch]) -> PlannedDelivery:
    if event.kind == CHECKPOINT:
        return _final(event, stage, latest)
    body = encode(model_request(json.loads(event.payload)))
    return PlannedDelivery(REGISTRATION, "message", stage, event.id, event.id, body)


def _deliveries(section: Sequence[Event], epochs: Mapping[int, _Epoch], stage: int) -> Iterator[PlannedDelivery]:
    """Yield the metrics and the newest checkpoint between two milestones."""
    for batch in _batches([epochs[event.id] for event in section if event.kind == EPOCH]):
        stage += 2 if batch[0].replaces else 0
        texts = {str(epoch.number): json.dumps(epoch.metrics) for epoch in batch}
        body = encode({"type": "metrics", "metrics": texts})
        yield PlannedDelivery(EPOCHS_TOGETHER, "message", stage, batch[0].event.id, batch[-1].event.id, body)
    saves = [event for event in section if event.kind == CHECKPOINT and event.key == LAST]
    if saves:
        file = json.loads(saves[-1].payload)
        form = {"epoch": file["epoch"], "type": "epoch", "isBest": bool(file["isBest"])}
        yield _upload(saves[-1], stage, "last.pt", form)


def _final(event: Event, stage: int, latest: Sequence[_Epoch]) -> PlannedDelivery:
    """Return the upload that ends a training, as `best.pt` even if it is `last.pt`, to which upstream falls back."""
    number = latest[0].trained if latest else json.loads(event.payload)["epoch"]
    score = (latest[0].metrics.get(_MAP) if latest else None) or 0.0
    return _upload(event, stage, "best.pt", {"epoch": number, "type": "final", "map": score})


def _upload(event: Event, stage: int, filename: str, form: Mapping[str, Any]) -> PlannedDelivery:
    file = json.loads(event.payload)
    body = encode({**file, "filename": filename, "form": form})
    return PlannedDelivery(CHECKPOINT, "upload", stage, event.id, event.id, body, file["sha256"], event.key)


def _batches(epochs: Iterable[_Epoch]) -> Iterator[list[_Epoch]]:
    """Yield lists of epochs that fit into one request."""
    batch: list[_Epoch] = []
    size = 0
    for epoch in epochs:
        length = len(json.dumps(epoch.metrics))
        if batch and size + length > LONGEST_METRICS:
            yield batch
            batch, size = [], 0
        batch.append(epoch)
        size += length
    if batch:
        yield batch


def _epochs(events: Iterable[Event]) -> Iterator[_Epoch]:
    """Yield the epochs among the events, each with its number at HUB."""
    epoch: _Epoch | None = None
    is_counted = False
    for event in events:
        if event.kind == REGISTRATION:
            is_counted = counts_final_evaluation(json.loads(event.payload))
        elif event.kind == EPOCH:
            epoch = _epoch(event, epoch, is_counted)
            yield epoch


def _epoch(event: Event, before: _Epoch | None, is_counted: bool) -> _Epoch:
    payload = json.loads(event.payload)
    number, metrics = int(payload["epoch"]), epoch_metrics(payload)
    trained = number
    if before is not None and number == before.number + 1 and follows(before.metrics, Told(said(payload), metrics)):
        trained = before.number
        number = number if is_counted else trained
    if before is None or number != before.number:
        return _Epoch(event, number, metrics, replaces=False, trained=trained)
    facts = {name: before.metrics[name] for name in _FACTS.values() if name in before.metrics}
    return _Epoch(event, number, {**facts, **metrics}, replaces=True, trained=trained)


def counts_final_evaluation(data: Mapping[str, Any]) -> bool:
    """Return whether a training's version of Ultralytics gives the final evaluation a number of its own.

    Args:
        data: The payload of `training_started`.
    """
    version = str((data.get("environment") or {}).get("ultralyticsVersion", ""))
    parts = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    return parts is not None and tuple(map(int, parts.groups())) >= COUNTED_SINCE


def epoch_metrics(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metrics that HUB is sent of an epoch.

    Args:
        payload: The payload of `epoch_end`.
    """
    metrics = {name: value for name, value in (payload.get("metrics") or {}).items() if name not in _UNSENT}
    info = (payload.get("modelInfo") or {}) if payload["epoch"] == 0 else {}
    return {**metrics, **{_FACTS[name]: value for name, value in info.items() if name in _FACTS}}


def model_request(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request that creates a model, or `{"modelId": …}` for an existing one.

    For a resumed training it has `resumed`, which is not sent: the client then looks for the run's model first.

    Args:
        data: The payload of `training_started`; the values of its `trainArgs` are text.
    """
    environment = data.get("environment") or {}
    if existing := environment.get(HUB.model_field):
        return {"modelId": existing}
    run = environment.get("uploaderRun")
    args = data.get("trainArgs") or {}
    model = str(args.get("model", ""))
    return {
        "config": {
            "batchSize": _value(args.get("batch", "-1")),
            "epochs": _value(args.get("epochs", "300")),
            "imageSize": _value(args.get("imgsz", "640")),
            "patience": _value(args.get("patience", "100")),
            "device": str(args.get("device", "")),
            "cache": str(args.get("cache", "ram")),
        },
        "dataset": {"name": args.get("data")},
        "lineage": {
            "architecture": {"name": model.replace(".pt", "").replace(".yaml", "")},
            "parent": {"name": model} if model.endswith(".pt") else {},
        },
        "meta": {"name": model, **({"uploaderRun": run} if run else {})},
        **({} if str(args.get("resume")) in NOT_RESUMED else {RESUMED: True}),
    }


def _value(text: str) -> Any:
    """Return the number, list or None that an argument was before it became text."""
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text


# Upstream sends metrics to HUB every 3 seconds at most.
PLANNING = Planning(plan, KINDS, ROLES, CONTEXT, rest_seconds=3.0, items=items_of)
