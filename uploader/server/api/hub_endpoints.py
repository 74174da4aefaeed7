"""`/v1/…`: the part of the Ultralytics HUB API that trainings use.

Every answer is `{"success": true, "message": …, "data": …}`.
"""

from __future__ import annotations

import secrets
import shutil
from dataclasses import replace
from typing import Any

from python_multipart.exceptions import FormParserError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from uploader.server.api import hub_messages, storage_endpoints
from uploader.server.api.bodies import Json, content_length, parse_json, read_body
from uploader.server.api.webhooks import act_once
from uploader.server.http_errors import Invalid, Malformed, NotFound
from uploader.server.local_platform import platform_of
from uploader.server.rules import model_updates
from uploader.server.storage.hub_store import HubModel, HubRows, HubWeights, Kind
from uploader.server.storage.statements import Rows

_MAX_FIELDS = 16
_BLOCK = 1024 * 1024  # bytes
_LISTED = 100


def authenticate(_: Request) -> Response:
    """Confirm that the key is valid; a request with an invalid key is rejected before it gets here."""
    return _done("Authenticated", {})


async def create_model(request: Request) -> Response:
    """Create a model."""
    body = await read_body(request)
    return await run_in_threadpool(_create, request, body)


def list_models(request: Request) -> Response:
    """List the newest models. If there are more, `lastRecordId` is the `last_doc_id` to ask for the next page with."""
    wanted, before = request.query_params.get("limit", ""), request.query_params.get("last_doc_id")
    limit = min(int(wanted), _LISTED) if wanted.isascii() and wanted.isdigit() and len(wanted) < 10 else _LISTED
    with platform_of(request).store.read() as rows:
        if before is not None and rows.hub.model(before) is None:
            raise NotFound("The model after which this page begins was deleted: list the models from the beginning")
        models = rows.hub.models(limit + 1, before)
        results = [_described(request, rows.hub, model) for model in models[:limit]]
        page = {"results": results, "total": rows.hub.count()}
    if results and len(models) > limit:
        page["lastRecordId"] = results[-1]["id"]
    return _done("Models", page)


def get_model(request: Request) -> Response:
    """Show a model."""
    with platform_of(request).store.read() as rows:
        return _done("Model", _described(request, rows.hub, _found(rows.hub, request)))


async def update_model(request: Request) -> Response:
    """Update parts of a model by merging the given fields into them."""
    body = await read_body(request)
    return await run_in_threadpool(_update, request, body)


def delete_model(request: Request) -> Response:
    """Delete a model with its metrics and weights."""
    with platform_of(request).store.write(durable=True) as rows:
        rows.hub.delete(_found(rows.hub, request).id)
    return _done("Model deleted", {})


async def put_metrics(request: Request) -> Response:
    """Store the metrics of any number of epochs."""
    body = await read_body(request)
    return await run_in_threadpool(_put_metrics, request, body)


def get_metrics(request: Request) -> Response:
    """List the metrics of a model's epochs."""
    with platform_of(request).store.read() as rows:
        epochs = rows.hub.epochs(_found(rows.hub, request).id)
    return _done("Metrics", [{"epoch": number, **metrics} for number, metrics in epochs.items()])


async def put_weights(request: Request) -> Response:
    """Store the file of a form as the model's last or best weights, acknowledged once they are on disk."""
    storage_endpoints.check_size(content_length(request, default=0))
    await run_in_threadpool(_check_model, request)
    try:
        async with request.form(max_files=1, max_fields=_MAX_FIELDS) as form:
            return await run_in_threadpool(_put_weights, request, form)
    except ClientDisconnect as error:
        raise Malformed("The form ended early") from error
    except FormParserError as error:  # newer versions of Starlette answer this error themselves
        raise Malformed("The form cannot be parsed") from error


async def heartbeat(request: Request) -> Response:
    """Record that a machine is training a model, and return the id that it has here."""
    body = await read_body(request)
    return await run_in_threadpool(_heartbeat, request, body)


def get_weights(request: Request) -> Response:
    """Send a model's weights."""
    platform = platform_of(request)
    storage_endpoints.check_signature(request, platform)
    with platform.store.read() as rows:
        weights = rows.hub.weights(request.path_params["model"]).get(request.path_params["kind"])
    if weights is None:
        raise NotFound("No such weights: the model was deleted")
    return storage_endpoints.file_answer(platform.files.path(weights.sha256))


def weights_url(request: Request, model_id: str, kind: Kind) -> str:
    """Return a signed URL for a model's weights."""
    return platform_of(request).signed_url(request, "GET", f"/storage/hub/{model_id}/{kind}.pt")


_MODEL = "/v1/models/{model}"

routes = [
    Route("/v1/auth", authenticate, methods=["POST"]),
    Route("/v1/models", create_model, methods=["POST"]),
    Route("/v1/models", list_models, methods=["GET"]),
    Route(_MODEL, get_model, methods=["GET"]),
    Route(_MODEL, update_model, methods=["PATCH"]),
    Route(_MODEL, delete_model, methods=["DELETE"]),
    Route(_MODEL, put_metrics, methods=["POST"]),
    Route(f"{_MODEL}/metrics", get_metrics, methods=["GET"]),
    Route(f"{_MODEL}/upload", put_weights, methods=["POST"]),
    Route("/v1/agent/heartbeat/models/{model}", heartbeat, methods=["POST"]),
    Route("/storage/hub/{model}/{kind}.pt", get_weights, methods=["GET"]),
]


def _create(request: Request, body: bytes) -> Response:
    platform = platform_of(request)
    parts: dict[str, Any] = {name: {} for name in hub_messages.PARTS}
    parts |= hub_messages.model_parts(parse_json(body))
    when = platform.when(request)

    def act(rows: Rows) -> dict[str, Any]:
        times: dict[str, Any] = {"created_at": when.arrived, "updated_at": when.arrived}
        times |= {"started_at": when.begun, "heard_at": when.happened}
        model = HubModel(id=secrets.token_urlsafe(15), **times, **parts)
        rows.hub.insert(model)
        return {"id": model.id}

    return _done("Model created", act_once(platform, request, body, act, durable=True), status=201)


def _update(request: Request, body: bytes) -> Response:
    platform = platform_of(request)
    parts = hub_messages.model_parts(parse_json(body))
    with platform.store.write(durable=True) as rows:
        model = _found(rows.hub, request)
        changed: dict[str, Any] = model_updates.merge(rows, model, parts, platform.now())
        return _done("Model updated", _described(request, rows.hub, replace(model, **changed)))


def _put_metrics(request: Request, body: bytes) -> Response:
    platform = platform_of(request)
    epochs, when = hub_messages.metrics(parse_json(body)), platform.when(request)
    with platform.store.write() as rows:
        model = _found(rows.hub, request)
        for number, metrics in epochs.items():
            rows.hub.put_epoch(model.id, number, metrics, when)
        rows.hub.hear(model, when)
    return _done("Metrics received", {})


def _put_weights(request: Request, form: FormData) -> Response:
    platform = platform_of(request)
    facts = hub_messages.weights_form({name: value for name, value in form.items() if isinstance(value, str)})
    files = [value for value in form.values() if isinstance(value, UploadFile)]
    if len(files) != 1:
        raise Invalid("The form must hold one file")
    with platform.files.incoming() as incoming:
        shutil.copyfileobj(files[0].file, incoming, _BLOCK)
    with platform.store.write(durable=True) as rows:
        model = _found(rows.hub, request)
        when = platform.when(request)
        file = {**vars(facts), "sha256": incoming.sha256, "size": incoming.size}
        rows.hub.put_weights(HubWeights(model.id, saved_at=when.happened, arrived_at=when.arrived, **file))
        rows.hub.hear(model, when)
    return _done("Weights received", {"sha256": incoming.sha256, "size": incoming.size})


def _heartbeat(request: Request, body: bytes) -> Response:
    platform = platform_of(request)
    message = parse_json(body)
    claimed = message.get("agentId") if isinstance(message, dict) else None
    with platform.store.write() as rows:
        model = _found(rows.hub, request)
        agent_id = model.agent_id if claimed is not None and claimed == model.agent_id else secrets.token_hex(8)
        rows.hub.update(model.id, {"agent_id": agent_id, "heartbeat_at": platform.now()})
    return _done("Heartbeat received", {"agentId": agent_id})


def _check_model(request: Request) -> None:
    """Refuse a file for an unknown model before its bytes are received."""
    with platform_of(request).store.read() as rows:
        _found(rows.hub, request)


def _found(rows: HubRows, request: Request) -> HubModel:
    model = rows.model(request.path_params["model"])
    if model is None:
        raise NotFound("No such model here: it was never created, or it was deleted")
    return model


def _described(request: Request, rows: HubRows, model: HubModel) -> dict[str, Any]:
    platform = platform_of(request)
    weights = rows.weights(model.id)
    urls = {kind: weights_url(request, model.id, kind) for kind in weights}
    return hub_messages.described(model, weights, urls, rows.count_epochs(model.id), platform.now())


def _done(message: str, data: Any, status: int = 200) -> Response:
    return Json({"success": True, "message": message, "data": data}, status_code=status)
