"""Registering a training: which model a `training_started` belongs to, and the new run that it gets there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from uploader.server.http_errors import Conflict
from uploader.server.rules import changes, models
from uploader.server.rules.messages import TrainingEvent, mapping
from uploader.server.storage.ordering import IGNORED, is_older
from uploader.server.storage.statements import Rows
from uploader.server.storage.store_records import Model

_FACTS = ("train_args", "environment", "device", "epochs")
"""What a start says of its session, as opposed to the state of the model."""


def start(rows: Rows, event: TrainingEvent, *, unique_names: bool = True) -> dict[str, Any]:
    """Register a training as a new run, either of a new model or of the model that the event names.

    Args:
        rows: The store's tables, in a writing transaction.
        event: A `training_started`.
        unique_names: Whether a name that is already taken makes another model. Clients of 2025 know no ids, so for
            them the same name is the same model.

    Returns:
        `modelId`, `runId`, `modelSlug` and `modelUrl` (a path). For a cancelled model: `modelId` and the fields of
        `models.CANCELLED`, without a run.

    Raises:
        NotFound: No model has the id that the event names.
        Conflict: Another copy of the run has already continued the model.
        Invalid: A field of the data has the wrong type.
    """
    answer = _register(rows, event, unique_names)
    rows.witness.announce(answer["modelId"], event.data.get("environment"))  # also of a session that comes too late
    return answer


def _register(rows: Rows, event: TrainingEvent, unique_names: bool) -> dict[str, Any]:
    if later := _model_of_later_sessions(rows, event):
        return {**_ids(later, rows.run_ids(later.id)[0]), "ignored": IGNORED}
    model = _named(rows, event, unique_names)
    if model and model.status == "cancelled":
        if _is_newest_session(model, event):
            _take_facts(rows, model, event)
        return {"modelId": model.id, **models.CANCELLED}
    if model and _is_another_copy(model, event.data):
        raise Conflict(
            f"Model '{model.id}' was already continued by another copy of this run: register without 'modelId'"
        )
    if model and _run_of(model.environment) != _run_of(event.data.get("environment")):
        rows.forget_ranks(model.id)
        model = replace(model, rank=None)
    if model and is_older(event.order, model.rank):
        run_id = rows.run_ids(model.id)[0]
        if _is_newest_session(model, event):
            _take_facts(rows, model, event)
            rows.date_run(run_id, event.when)
        return {**_ids(model, run_id), "ignored": IGNORED}
    fields = changes.from_start(event.data, event.when) | {"rank": event.order.rank if event.order else None}
    if model:
        rows.update_model(model.id, fields)
    else:
        assert event.address is not None  # `messages` accepts no event without an id or an address
        model = models.create(rows, event.address, fields, event.when.arrived)
    return _ids(model, rows.insert_run(model.id, event.when.begun, event.when.arrived))


def _take_facts(rows: Rows, model: Model, event: TrainingEvent) -> None:
    """Store what a start that is sent again says of its session; the state of the model stays as it is."""
    fields = changes.from_start(event.data, event.when)
    facts = (*_FACTS, "started_at") if event.when.is_told else _FACTS
    rows.update_model(model.id, {name: fields[name] for name in facts})


def _ids(model: Model, run_id: int) -> dict[str, Any]:
    return {
        "modelId": model.id,
        "runId": run_id,
        "modelSlug": model.slug,
        "modelUrl": models.page_path(model.owner, model.project, model.slug),
    }


def _run_of(environment: object) -> object:
    """Return the run that a training names as its own, or None if it names none."""
    return environment.get("uploaderRun") if isinstance(environment, dict) else None


def _is_another_copy(model: Model, data: dict[str, Any]) -> bool:
    """Tell whether the starting session and the model's last known one are different sessions of one generation.

    Sessions that follow each other have different generations, so these two belong to two copies of the run. Clients
    check this before they register; the check here catches two clients that register at the same time.
    """
    starting, known = (
        mapping(place.get("environment"), "'environment'") for place in (data, {"environment": model.environment})
    )
    ours, theirs = _session(starting), _session(known)
    return ours.get("uuid") != theirs.get("uuid") and None is not ours.get("generation") == theirs.get("generation")


def _is_newest_session(model: Model, event: TrainingEvent) -> bool:
    """Tell whether a starting session is the one that the model is at: it was sent before, and is sent again.

    Sessions of other training loops than Ultralytics' have no names; those of one run differ in their generations.
    """
    starting = _session(mapping(event.data.get("environment"), "'environment'")).get("uuid")
    known = _session(model.environment or {}).get("uuid")
    if starting is not None and known is not None:
        return bool(starting == known)
    return event.order is not None and event.order.is_of_generation(model.rank)


def _session(environment: dict[str, Any]) -> dict[str, Any]:
    session = environment.get("uploaderSession")
    return session if isinstance(session, dict) else {}


def _model_of_later_sessions(rows: Rows, event: TrainingEvent) -> Model | None:
    """Return the model that later sessions of the same run created, if an earlier session now registers as new.

    This happens when sessions have a journal each and the later ones are delivered first. A session that belongs to a
    copy of the run is not an ancestor of those later sessions, so it does not match.
    """
    environment = mapping(event.data.get("environment"), "'environment'") or {}
    run, uuid = environment.get("uploaderRun"), _session(environment).get("uuid")
    if event.model_id is not None or event.address is None or not (isinstance(run, str) and isinstance(uuid, str)):
        return None
    found = rows.models_of_run(event.address.owner, run)
    return next((model for model in found if model.status != "cancelled" and uuid in _ancestors(model)), None)


def _ancestors(model: Model) -> list[object]:
    listed = _session(model.environment or {}).get("ancestors")
    return listed if isinstance(listed, list) else []


def _named(rows: Rows, event: TrainingEvent, unique_names: bool) -> Model | None:
    if event.model_id is not None:
        return models.find(rows, event)
    return None if unique_names else models.at(rows, event.address)
