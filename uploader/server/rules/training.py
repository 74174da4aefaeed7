"""Taking training events and upload requests into the store: the platform's rules over its tables."""

from __future__ import annotations

import secrets
from dataclasses import replace
from itertools import chain, count
from typing import Any

from uploader.server.http_errors import Conflict, Invalid, NotFound
from uploader.server.rules import effects
from uploader.server.rules.messages import Address, TrainingEvent, UploadRequest, mapping, optional_integer
from uploader.server.storage.ordering import IGNORED, is_older
from uploader.server.storage.statements import Rows
from uploader.server.storage.store_records import Checkpoint, Model, Upload

MILESTONES = frozenset({"training_started", "training_complete", "training_failed"})
"""Events that begin or end a training."""
STAGING = "staging/"
"""Prefix of the `uploadPath` under which a client knows an upload."""

CANCELLED = {
    "cancelled": True,
    "action": "training_terminated",
    "reason": "The model was cancelled on the platform",
}
"""Added to every answer about a cancelled model; clients stop their training."""


def start(rows: Rows, event: TrainingEvent, now: str, *, unique_names: bool = True) -> dict[str, Any]:
    """Register a training: a new run, of a new model or of the one that is named.

    Args:
        rows: The store's tables, in a writing transaction.
        event: A `training_started`.
        now: Time of receipt, ISO 8601 in UTC.
        unique_names: Whether the same name again means another model. Clients of 2025 know no ids, so for them the
            same name is the same model.

    Returns:
        `modelId`, `runId`, `modelSlug` and `modelUrl`, a path; or `modelId` and the signs of a cancelled model,
        without a run.

    Raises:
        NotFound: There is no model with the id that the event names.
        Conflict: The model has gone on with another copy of what is to go on with it now.
        Invalid: The data has a field of the wrong type.
    """
    if later := _later_sessions(rows, event):
        return {**_ids(later, rows.run_ids(later.id)[0]), "ignored": IGNORED}
    model = _named(rows, event, unique_names)
    if model and model.status == "cancelled":
        return {"modelId": model.id, **CANCELLED}
    if model and _is_another_copy(model, event.data):
        raise Conflict(f"Model '{model.id}' has gone on with another copy of this run: register it without 'modelId'")
    if model and _run_of(model.environment) != _run_of(event.data.get("environment")):
        rows.forget_ranks(model.id)
    elif model and is_older(event.order, model.rank):
        return {**_ids(model, rows.run_ids(model.id)[0]), "ignored": IGNORED}
    changes = effects.of_start(event.data, now) | _ranked(event)
    if model:
        rows.update_model(model.id, changes)
    else:
        assert event.address is not None  # `messages` lets no event through without an id or an address
        model = _insert_model(rows, event.address, changes, now)
    return _ids(model, rows.insert_run(model.id, now))


def _run_of(environment: object) -> object:
    """Return the run that a training says it is of; None where it does not."""
    return environment.get("uploaderRun") if isinstance(environment, dict) else None


def _ids(model: Model, run_id: int) -> dict[str, Any]:
    return {
        "modelId": model.id,
        "runId": run_id,
        "modelSlug": model.slug,
        "modelUrl": page_path(model.owner, model.project, model.slug),
    }


def page_path(owner: str, project: str, slug: str) -> str:
    """Return the path of a model's page. Its last three parts name the model in the read-back API too."""
    return f"/runs/{owner}/{project}/{slug}"


def record(rows: Rows, event: TrainingEvent, now: str) -> dict[str, Any]:
    """Take any event but `training_started`.

    Returns:
        `modelId`, and the signs of cancellation if the model was cancelled.

    Raises:
        NotFound: There is no such model, or no such upload.
        Conflict: A checkpoint is announced that has not arrived, or for another run.
        Invalid: The data lacks a field, or one has the wrong type.
    """
    model = find(rows, event)
    is_kept = True
    if event.event == "checkpoint_saved":
        rows.uploads.promote(_arrived_upload(rows, model, event.data), now)
    else:
        is_kept = _apply(rows, model, event, effects.of_event(event.event, event.data, model, now))
    ignored = {} if is_kept else {"ignored": IGNORED}
    return {"modelId": model.id, **ignored, **(CANCELLED if model.status == "cancelled" else {})}


def expect_upload(rows: Rows, request: UploadRequest, now: str) -> dict[str, Any]:
    """Prepare for one file.

    Returns:
        `gcsPath` (the file's name on the platform), `uploadPath` (the name of this attempt) and `modelId`.

    Raises:
        NotFound: There is no such model, or the run is not one of its runs.
    """
    model = find(rows, request)
    runs = rows.run_ids(model.id)
    run_id = runs[0] if request.run_id is None else request.run_id
    if run_id not in runs:
        raise NotFound(f"Model '{model.id}' has no run {run_id}")
    upload = Upload(
        id=secrets.token_hex(12),
        model_id=model.id,
        run_id=run_id,
        filename=request.filename,
        path=f"models/{model.id}/runs/{run_id}/{request.filename}",
        declared_size=request.size,
        declared_sha256=request.sha256,
        promotes=request.run_id is None,
        created_at=now,
        rank=request.order.rank if request.order else None,
    )
    rows.uploads.insert(upload)
    return {"gcsPath": upload.path, "uploadPath": STAGING + upload.id, "modelId": model.id}


def finish_upload(rows: Rows, upload: Upload, sha256: str, size: int, now: str) -> None:
    """Record that the bytes of an upload are on disk."""
    rows.uploads.finish(upload.id, sha256, size)
    if upload.promotes:
        rows.uploads.promote(replace(upload, sha256=sha256, size=size), now)


def cancel(rows: Rows, model: Model, now: str) -> None:
    """Cancel a training; its next request is told to stop.

    Raises:
        Conflict: The training has ended already.
    """
    if model.status in ("completed", "failed"):
        raise Conflict(f"The training has already {model.status}")
    rows.update_model(model.id, {"status": "cancelled", "completed_at": now, "updated_at": now})


def find(rows: Rows, target: TrainingEvent | UploadRequest) -> Model:
    """Return the model that a message is for.

    Raises:
        NotFound: There is none.
    """
    model = rows.model(target.model_id) if target.model_id is not None else _at(rows, target.address)
    if model is None:
        raise NotFound(
            f"No model '{target.model_id or _shown(target.address)}' here: it was never registered, or deleted"
        )
    return model


def weights(model: Model, checkpoints: list[Checkpoint]) -> Checkpoint | None:
    """Choose the checkpoint that is the model: of the newest run the one its completion names, else the latest.

    Their order in the run decides where each tells it, else that in which they first arrived, so that one which is sent
    again changes nothing.
    """
    final = (model.results or {}).get("modelPath")
    is_ordered = all(each.rank is not None for each in checkpoints)
    return max(
        checkpoints,
        key=lambda each: (each.run_id, each.path == final, (is_ordered and each.rank) or 0, each.id),
        default=None,
    )


def _is_another_copy(model: Model, data: dict[str, Any]) -> bool:
    """Return whether a session is not the one that the model has heard of last, but is of its generation.

    Sessions that follow each other have generations that do. Clients look for themselves before they ask; this is for
    two that do so at once.
    """
    told = [mapping(place.get("environment"), "'environment'") for place in (data, {"environment": model.environment})]
    ours, theirs = (session if isinstance(session := one.get("uploaderSession"), dict) else {} for one in told)
    return ours.get("uuid") != theirs.get("uuid") and None is not ours.get("generation") == theirs.get("generation")


def _later_sessions(rows: Rows, event: TrainingEvent) -> Model | None:
    """Return the model that later sessions of the same run have made, where an earlier one is registered as new.

    It is so where the later ones are delivered first, from journals of their own. A copy's session has led to none.
    """
    environment = mapping(event.data.get("environment"), "'environment'") or {}
    run, session = environment.get("uploaderRun"), environment.get("uploaderSession")
    uuid = session.get("uuid") if isinstance(session, dict) else None
    if event.model_id is not None or event.address is None or not (isinstance(run, str) and isinstance(uuid, str)):
        return None
    models = rows.models_of_run(event.address.owner, run)
    return next((model for model in models if model.status != "cancelled" and uuid in _ancestors(model)), None)


def _ancestors(model: Model) -> list[object]:
    told = (model.environment or {}).get("uploaderSession")
    listed = told.get("ancestors") if isinstance(told, dict) else None
    return listed if isinstance(listed, list) else []


def _named(rows: Rows, event: TrainingEvent, unique_names: bool) -> Model | None:
    if event.model_id is not None:
        return find(rows, event)
    return None if unique_names else _at(rows, event.address)


def _at(rows: Rows, address: Address | None) -> Model | None:
    if address is None:
        return None
    # By name first: the client knows what it asked for, not that "train" became "train-2".
    place = (address.owner, address.project, address.name)
    return rows.model_by_name(*place) or rows.model_by_slug(*place)


def _shown(address: Address | None) -> str:
    return f"{address.owner}/{address.project}/{address.name}" if address else ""


def _insert_model(rows: Rows, address: Address, changes: dict[str, Any], now: str) -> Model:
    model = Model(
        id=secrets.token_hex(12),
        owner=address.owner,
        project=address.project,
        project_name=address.project_name,
        slug=_free_slug(rows, address),
        name=address.name,
        created_at=now,
        **changes,
    )
    rows.insert_model(model)
    return model


def _free_slug(rows: Rows, address: Address) -> str:
    taken = rows.numbered_slugs(address.owner, address.project, address.name)
    numbered = (f"{address.name}-{number}" for number in count(2))
    return next(slug for slug in chain([address.name], numbered) if slug not in taken)


def _ranked(event: TrainingEvent) -> dict[str, Any]:
    """Return the rank that a start or an end gives its model."""
    return {"rank": event.order.rank if event.order else None} if event.event in MILESTONES else {}


def _apply(rows: Rows, model: Model, event: TrainingEvent, changed: effects.Effects) -> bool:
    """Make the changes, and return whether they were: not where something newer is here."""
    if changed.chunk:
        return rows.put_chunk(model.id, changed.chunk, event.order)
    if changed.epoch:
        if not rows.put_epoch(model.id, changed.epoch, event.order):
            return False
    elif is_older(event.order, model.rank):
        return False
    if changed.model:
        rows.update_model(model.id, changed.model | _ranked(event))
    return True


def _arrived_upload(rows: Rows, model: Model, data: dict[str, Any]) -> Upload:
    upload = _announced_upload(rows, model, data)
    if upload is None or upload.model_id != model.id:
        raise NotFound(f"No upload for model '{model.id}' at that 'uploadPath' or 'modelPath'")
    run_id = optional_integer(data, "runId")
    if run_id is not None and run_id != upload.run_id:
        raise Conflict(f"The upload belongs to run {upload.run_id}, not to run {run_id}")
    if upload.sha256 is None:
        raise Conflict("The file has not arrived: PUT it to its uploadUrl first")
    return upload


def _announced_upload(rows: Rows, model: Model, data: dict[str, Any]) -> Upload | None:
    if isinstance(data.get("uploadPath"), str):
        return rows.uploads.get(data["uploadPath"].removeprefix(STAGING))
    if isinstance(data.get("modelPath"), str):
        return rows.uploads.at(model.id, data["modelPath"])
    raise Invalid("'uploadPath' or 'modelPath' is needed to know the file")
