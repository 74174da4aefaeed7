"""Uploads: which file a client may send, which bytes arrived, and which of them become checkpoints."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

from uploader.server.http_errors import Conflict, Invalid, NotFound
from uploader.server.rules import models
from uploader.server.rules.messages import UploadRequest, optional_integer
from uploader.server.storage.statements import Rows
from uploader.server.storage.store_records import Checkpoint, Model, Upload
from uploader.server.times import When

_STAGING = "staging/"
"""Prefix of the `uploadPath` by which clients refer to an upload."""


def expect(rows: Rows, request: UploadRequest) -> dict[str, Any]:
    """Prepare to receive one file.

    Returns:
        `gcsPath` (the file's name on the platform), `uploadPath` (the name of this upload) and `modelId`.

    Raises:
        NotFound: There is no such model, or it has no such run.
    """
    model = models.find(rows, request)
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
        created_at=request.when.arrived,
        rank=request.order.rank if request.order else None,
        saved_at=request.when.happened if request.when.is_told else None,
    )
    rows.uploads.insert(upload)
    return {"gcsPath": upload.path, "uploadPath": _STAGING + upload.id, "modelId": model.id}


def id_of(upload_path: str) -> str:
    """Return the id of the upload that an `uploadPath` names."""
    return upload_path.removeprefix(_STAGING)


def finish(rows: Rows, upload: Upload, sha256: str, size: int, now: str) -> None:
    """Record that the bytes of an upload are on disk."""
    rows.uploads.finish(upload.id, sha256, size)
    if upload.promotes:
        rows.uploads.promote(replace(upload, sha256=sha256, size=size), now)


def promote(rows: Rows, model: Model, data: dict[str, Any], when: When) -> None:
    """Make a checkpoint of the upload that a `checkpoint_saved` announces.

    Raises:
        NotFound: There is no such upload for this model.
        Conflict: Its bytes have not arrived, or it belongs to another run.
        Invalid: The data does not name an upload.
    """
    rows.uploads.promote(_arrived(rows, model, data), when.arrived)


def weights(model: Model, checkpoints: list[Checkpoint]) -> Checkpoint | None:
    """Choose the checkpoint that is the model: in the newest run, the one that its completion names, else the latest.

    "Latest" goes by the order in the run if every checkpoint has one, else by first arrival, so that sending a
    checkpoint again changes nothing.
    """
    final = (model.results or {}).get("modelPath")
    is_ordered = all(each.rank is not None for each in checkpoints)
    return max(
        checkpoints,
        key=lambda each: (each.run_id, each.path == final, (is_ordered and each.rank) or 0, each.id),
        default=None,
    )


def _arrived(rows: Rows, model: Model, data: dict[str, Any]) -> Upload:
    upload = _announced(rows, model, data)
    if upload is None or upload.model_id != model.id:
        raise NotFound(f"No upload for model '{model.id}' at that 'uploadPath' or 'modelPath'")
    run_id = optional_integer(data, "runId")
    if run_id is not None and run_id != upload.run_id:
        raise Conflict(f"The upload belongs to run {upload.run_id}, not to run {run_id}")
    if upload.sha256 is None:
        raise Conflict("The file has not arrived: PUT it to its uploadUrl first")
    return upload


def _announced(rows: Rows, model: Model, data: dict[str, Any]) -> Upload | None:
    if isinstance(data.get("uploadPath"), str):
        return rows.uploads.get(id_of(data["uploadPath"]))
    if isinstance(data.get("modelPath"), str):
        return rows.uploads.at(model.id, data["modelPath"])
    raise Invalid("'uploadPath' or 'modelPath' is required to identify the file")
