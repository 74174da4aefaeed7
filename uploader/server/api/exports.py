"""Conversions of models into other formats: they are ordered, kept and listed. This server makes none by itself."""

from __future__ import annotations

import json
import secrets
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from uploader.server.api import views
from uploader.server.api.bodies import Json, parse_json, read_body
from uploader.server.api.readback import MODEL, find_model, limit
from uploader.server.api.webhooks import act_once
from uploader.server.http_errors import Invalid, NotFound
from uploader.server.local_platform import current_platform_of
from uploader.server.rules.messages import mapping, text
from uploader.server.storage.export_store import Export
from uploader.server.storage.statements import Rows

FORMATS = frozenset(
    "ascend axelera coreai coreml deepx edgetpu engine executorch hailo imx litert mnn ncnn onnx openvino paddle pb "
    "qnn rknn saved_model torchscript xilinx".split()
)
"""Those of the SDK 0.1.99."""
_STATUS = "queued"


async def create_export(request: Request) -> Response:
    """Keep an order."""
    body = await read_body(request)
    return Json(await run_in_threadpool(_create, request, body))


def list_exports(request: Request) -> Response:
    """List what was ordered for a model, newest first."""
    platform = current_platform_of(request)
    most, wanted = limit(request), request.query_params.get("status", _STATUS)
    with platform.store.read() as rows:
        found = rows.exports.of(find_model(rows, request).id) if wanted == _STATUS else []
    kept = found if most < 0 else found[:most]
    return Json({"exports": [_shown(each) for each in kept], "region": views.REGION})


def get_export(request: Request) -> Response:
    """Return one order."""
    platform = current_platform_of(request)
    with platform.store.read() as rows:
        return Json({"export": _shown(_find(rows, request))})


def delete_export(request: Request) -> Response:
    """Cancel an order."""
    with current_platform_of(request).store.write() as rows:
        rows.exports.delete(_find(rows, request))
    return Json({"success": True, "action": "cancelled"})


EXPORTS = f"{MODEL}/exports"

routes = [
    Route(EXPORTS, create_export, methods=["POST"]),
    Route(EXPORTS, list_exports, methods=["GET"]),
    Route(f"{EXPORTS}/{{export_id}}", get_export, methods=["GET"]),
    Route(f"{EXPORTS}/{{export_id}}", delete_export, methods=["DELETE"]),
]


def _create(request: Request, body: bytes) -> dict[str, Any]:
    platform = current_platform_of(request)
    wanted = mapping(parse_json(body), "The body")
    format_ = text(wanted.get("format"), "format")
    if format_ not in FORMATS:
        raise Invalid(f"'format' must be one of {', '.join(sorted(FORMATS))}")
    args = json.dumps(mapping(wanted["args"], "'args'")) if wanted.get("args") is not None else None
    gpu = text(wanted["gpuType"], "gpuType") if wanted.get("gpuType") is not None else None

    def act(rows: Rows) -> dict[str, Any]:
        export = Export(secrets.token_hex(12), find_model(rows, request).id, format_, args, gpu, platform.now())
        rows.exports.insert(export)
        answer = {name: value for name, value in _shown(export).items() if name in _ORDERED}
        return {**answer, "region": views.REGION}

    return act_once(platform, request, body, act, durable=True)


def _find(rows: Rows, request: Request) -> Export:
    known = rows.exports.of(find_model(rows, request).id)
    found = next((each for each in known if each.id == request.path_params["export_id"]), None)
    if found is None:
        raise NotFound("The model has no such conversion")
    return found


_ORDERED = frozenset({"id", "format", "status", "gpuType"})


def _shown(export: Export) -> dict[str, Any]:
    fields = {
        "id": export.id,
        "status": _STATUS,
        "format": export.format,
        "args": json.loads(export.args) if export.args else None,
        "gpuType": export.gpu_type,
        "createdAt": export.created_at,
        "updatedAt": export.created_at,
    }
    return {name: value for name, value in fields.items() if value is not None}
