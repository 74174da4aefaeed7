"""The read API used by the SDK and `resolve_platform_uri`: the account, models and dataset exports."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from uploader.server.api import storage_endpoints, views
from uploader.server.api.bodies import Json
from uploader.server.api.views import ModelSnapshot
from uploader.server.http_errors import Invalid, NotFound, NotHere
from uploader.server.local_platform import Platform, current_platform_of, platform_of
from uploader.server.rules import training
from uploader.server.storage import datasets
from uploader.server.storage.statements import Rows
from uploader.server.storage.store_records import Model


def summarize_account(request: Request) -> Response:
    """Return the account of the API key, which owns the models. Servers of late 2025 did not have this endpoint."""
    platform = current_platform_of(request)
    owner = platform.owner
    with platform.store.read() as rows:
        projects, models = rows.count_projects()
    counts = {"projects": projects, "models": models, "datasets": len(datasets.names(platform.data))}
    plan = {"plan": "free", "creditsCents": 0, "counts": counts, "teams": []}
    return Json({"username": owner, "name": owner, "accountType": "personal", **plan})


def list_models(request: Request) -> Response:
    """List the models of a project, newest first."""
    owner, project = request.path_params["owner"], request.path_params["project"]
    most = limit(request)
    platform = platform_of(request)
    now = platform.now()
    with platform.store.read() as rows:
        models = [views.summary(ModelSnapshot.of(rows, each), now) for each in rows.models(owner, project, most)]
    return Json({"models": models, "region": views.REGION})


def get_model(request: Request) -> Response:
    """Return one model with everything reported for it."""
    if "analysis" in request.query_params:
        raise NotHere("The local platform has no analysis of each image: read the model without 'analysis'")
    snapshot, platform = _snapshot(request), platform_of(request)
    model = views.detail(snapshot, platform.now())
    return Json({"model": model, "isOwner": snapshot.model.owner == platform.owner})


def delete_model(request: Request) -> Response:
    """Delete a model and everything recorded for it."""
    with platform_of(request).store.write() as rows:
        rows.delete_model(find_model(rows, request).id)
    return Json({"success": True})


def get_training(request: Request) -> Response:
    """Return the progress of a training."""
    return Json({"job": views.job(_snapshot(request), platform_of(request).now())})


def cancel_training(request: Request) -> Response:
    """Cancel a training: the answer to its next event tells it to stop."""
    platform = platform_of(request)
    with platform.store.write() as rows:
        training.cancel(rows, find_model(rows, request), platform.now())
    return Json({"success": True, "status": "cancelled"})


def list_files(request: Request) -> Response:
    """List a model's checkpoints with signed URLs: its weights first, then the others, newest first."""
    snapshot = _snapshot(request)
    others = [each for each in reversed(snapshot.checkpoints) if each != snapshot.weights]
    platform = platform_of(request)
    files = [
        {
            "name": each.filename,
            "size": each.size,
            "sha256": each.sha256,
            "downloadUrl": platform.signed_url(request, "GET", storage_endpoints.checkpoint_path(each)),
        }
        for each in ([snapshot.weights] if snapshot.weights else []) + others
    ]
    return Json({"files": files})


def list_media(request: Request) -> Response:
    """List a model's images and plots, those of the newest steps first: the images' files in base64, or its digest."""
    most, platform = limit(request), platform_of(request)
    told = _with_digest if request.query_params.get("files") == "sha256" else dict
    with platform.store.read() as rows:
        found = rows.media(find_model(rows, request).id, most)
    return Json({"media": [{**told(each.data), "timestamp": each.timestamp} for each in found]})


def list_gpus(request: Request) -> Response:
    """List the GPUs that can be rented: none."""
    current_platform_of(request)
    return Json({})


def redirect_to_model(request: Request) -> Response:
    """Redirect to the signed URL of the model's weights, as servers did before the SDK."""
    snapshot = _snapshot(request)
    if snapshot.weights is None:
        raise NotFound("The model has no weights yet")
    url = platform_of(request).signed_url(request, "GET", storage_endpoints.checkpoint_path(snapshot.weights))
    return RedirectResponse(url, status_code=302)


def export_dataset(request: Request) -> Response:
    """Return a signed URL for a dataset's file."""
    return Json({"downloadUrl": _dataset_url(request), "cached": True})


def redirect_to_dataset(request: Request) -> Response:
    """Redirect to the signed URL of a dataset's file, as servers did before the SDK."""
    return RedirectResponse(_dataset_url(request), status_code=302)


MODEL = "/api/models/{owner}/{project}/{model}"
"""Path of a model."""

routes = [
    Route("/api/account/summary", summarize_account, methods=["GET"]),
    Route("/api/models/{owner}/{project}", list_models, methods=["GET"]),
    Route(MODEL, get_model, methods=["GET"]),
    Route(MODEL, delete_model, methods=["DELETE"]),
    Route(f"{MODEL}/training", get_training, methods=["GET"]),
    Route(f"{MODEL}/training", cancel_training, methods=["DELETE"]),
    Route(f"{MODEL}/files", list_files, methods=["GET"]),
    Route(f"{MODEL}/media", list_media, methods=["GET"]),
    Route("/api/training/gpu-availability", list_gpus, methods=["GET"]),
    Route("/api/datasets/{owner}/{dataset}/export", export_dataset, methods=["GET"]),
    *(
        route
        for prefix in ("/api/v1", "/api/webhooks")
        for route in (
            Route(f"{prefix}/datasets/{{owner}}/{{dataset}}/export", redirect_to_dataset, methods=["HEAD"]),
            Route(
                f"{prefix}/models/{{owner}}/{{project}}/{{model}}/download",
                redirect_to_model,
                methods=["HEAD"],
            ),
        )
    ),
]


def limit(request: Request) -> int:
    """Return how many entries a request for a list wants, -1 for all.

    Raises:
        Invalid: It says something else than a number.
    """
    value = request.query_params.get("limit", "")
    if value and not (value.isascii() and value.isdigit() and len(value) < 10):
        raise Invalid("'limit' must be a number")
    return int(value) if value else -1


def find_model(rows: Rows, request: Request) -> Model:
    """Return the model at a request's path.

    Raises:
        NotFound: There is none.
    """
    place = [request.path_params[name] for name in ("owner", "project", "model")]
    model = rows.model_by_slug(*place)
    if model is None:
        raise NotFound(f"No model '{'/'.join(place)}' here")
    return model


def _with_digest(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a medium with the sha256 of its file's base64 in the place of that."""
    if not isinstance(file := data.get("data"), str):
        return dict(data)
    digest = hashlib.sha256(file.encode("utf-8", "surrogatepass")).hexdigest()
    return {**{name: value for name, value in data.items() if name != "data"}, "sha256": digest}


def _snapshot(request: Request) -> ModelSnapshot:
    """Read a model, with those of its checkpoints whose files are there: what is told is what can be downloaded."""
    platform = platform_of(request)
    with platform.store.read() as rows:
        snapshot = ModelSnapshot.of(rows, find_model(rows, request))
    return replace(
        snapshot, checkpoints=[one for one in snapshot.checkpoints if platform.files.has(one.sha256, one.size)]
    )


def _dataset_url(request: Request) -> str:
    platform: Platform = platform_of(request)
    owner, slug = request.path_params["owner"], request.path_params["dataset"]
    try:
        datasets.check_export(platform.data, owner, slug, reader=platform.owner)
    except NotFound:
        with platform.store.read() as rows:
            if rows.datasets.at(owner, slug) is None:
                raise
        raise NotFound(
            "It is here without a list of its images: upload one (.ndjson); nobody unpacks archives"
        ) from None
    return platform.signed_url(request, "GET", storage_endpoints.dataset_path(owner, slug))
