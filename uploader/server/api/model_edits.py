"""Models as clients make and change them directly: `POST /api/models`, and `PATCH` of a model."""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from uploader.server.api import views
from uploader.server.api.bodies import Json, parse_json, read_body
from uploader.server.api.readback import MODEL, find_model
from uploader.server.api.webhooks import act_once
from uploader.server.http_errors import Conflict, Invalid
from uploader.server.local_platform import current_platform_of
from uploader.server.rules import editing, messages, model_updates, models
from uploader.server.rules.editing import Edit
from uploader.server.rules.messages import Address
from uploader.server.storage.statements import Rows
from uploader.server.storage.store_records import Model

_UNNAMED = "model"


async def create_model(request: Request) -> Response:
    """Create a model with everything that is known of it."""
    body = await read_body(request)
    return Json(await run_in_threadpool(_create, request, body))


async def update_model(request: Request) -> Response:
    """Set fields of a model. A field replaces what was there; an epoch, only the epoch of its number."""
    body = await read_body(request)
    return Json(await run_in_threadpool(_update, request, body))


routes = [
    Route("/api/models", create_model, methods=["POST"]),
    Route(MODEL, update_model, methods=["PATCH"]),
]


def _create(request: Request, body: bytes) -> dict[str, Any]:
    platform = current_platform_of(request)
    wanted, now = _object(body), platform.now()
    address = _address(wanted, platform.owner)
    edit = editing.edit({"name": wanted.get("model") or _UNNAMED, **wanted}, None, now)
    fields = {**_state(edit, now), **edit.fields}

    def act(rows: Rows) -> dict[str, Any]:
        if wanted.get("model") is not None and rows.model_by_slug(address.owner, address.project, address.name):
            raise Conflict(f"There is a model '{address.owner}/{address.project}/{address.name}' already")
        model = models.create(rows, address, fields, now)
        rows.insert_run(model.id, now, now)  # files are uploaded to a run
        model_updates.put_epochs(rows, model, edit)
        place = {"owner": model.owner, "project": model.project, "model": model.slug}
        return {"id": model.id, **place, "name": fields["properties"]["name"], "region": views.REGION}

    return act_once(platform, request, body, act, durable=True)


def _update(request: Request, body: bytes) -> dict[str, Any]:
    platform = current_platform_of(request)
    wanted, now = _object(body), platform.now()
    with platform.store.write(durable=True) as rows:
        model = find_model(rows, request)
        model_updates.update(rows, model, wanted, now)
        model = find_model(rows, request)
    return _updated(wanted, model)


def _updated(wanted: dict[str, Any], model: Model) -> dict[str, Any]:
    """Return the answer to an update, which has another form for a star and for a name."""
    if set(wanted) == {"starred"}:
        starred = views.is_starred(model)
        return {"starred": starred, "starCount": int(starred)}
    if "name" in wanted:
        return {"success": True, "slug": model.slug, "name": wanted["name"], "renamed": False}
    return {"success": True, "model": model.slug}


def _state(edit: Edit, now: str) -> dict[str, Any]:
    """Return the state of a model that names none: it is trained if it has results or an end."""
    if edit.epochs or "completed_at" in edit.fields:
        return {"status": "completed", "started_at": now, "heard_at": now, "completed_at": now}
    return {"status": "untrained", "started_at": now, "heard_at": now}


def _address(wanted: dict[str, Any], default_owner: str) -> Address:
    owner = messages.text(wanted["owner"], "owner") if wanted.get("owner") is not None else default_owner
    project = messages.text(wanted.get("project"), "project")
    return messages.address(f"{owner}/{project}", wanted.get("model") or wanted.get("name") or _UNNAMED, default_owner)


def _object(body: bytes) -> dict[str, Any]:
    wanted = parse_json(body)
    if not isinstance(wanted, dict):
        raise Invalid("The body must be a JSON object")
    return wanted
