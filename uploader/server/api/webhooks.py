"""The endpoints that trainings report to: `POST /api/webhooks/training/metrics`, `POST /api/webhooks/models/upload`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from uploader.server.api import idempotency, storage_endpoints, tus_endpoints
from uploader.server.api.bodies import Json, parse_json, read_body
from uploader.server.local_platform import Platform, base_url, platform_of
from uploader.server.rules import messages, registration, training, transfers, uploads
from uploader.server.rules.training_state import EVALUATION_HEADER
from uploader.server.storage import ordering
from uploader.server.storage.statements import Rows

_MILESTONES = frozenset({"training_started", "checkpoint_saved", "training_complete", "training_failed"})
"""Events that are acknowledged only once they, and all before them, would survive a power cut here as well."""


async def training_metrics(request: Request) -> Response:
    """Receive one training event."""
    body = await read_body(request)
    return Json(await run_in_threadpool(_take_event, request, body))


async def models_upload(request: Request) -> Response:
    """Prepare to receive one file, and return the URL to PUT it to."""
    body = await read_body(request)
    return Json(await run_in_threadpool(_prepare_upload, request, body))


routes = [
    Route("/api/webhooks/training/metrics", training_metrics, methods=["POST"]),
    Route("/api/webhooks/models/upload", models_upload, methods=["POST"]),
]


def act_once(
    platform: Platform, request: Request, body: bytes, act: Callable[[Rows], dict[str, Any]], *, durable: bool = False
) -> dict[str, Any]:
    """Run `act` in one transaction of the store, or repeat the answer to the same request.

    Args:
        platform: The platform whose store is changed.
        request: The request; it may carry an idempotency key.
        body: The request's body.
        act: Makes the change and returns the answer.
        durable: Whether the change must survive a power cut.
    """
    key = request.headers.get(idempotency.HEADER) if platform.idempotency else None
    identified = None if key is None else idempotency.identify(request.method, request.scope["path"], key, body)
    with platform.store.write(durable=durable) as rows:
        return idempotency.once(rows, identified, lambda: act(rows))


def _order(request: Request) -> ordering.Order | None:
    return ordering.read(request.headers.get(ordering.HEADER))


def _take_event(request: Request, body: bytes) -> dict[str, Any]:
    platform = platform_of(request)
    told = platform.when(request), _order(request)
    evaluation = request.headers.get(EVALUATION_HEADER)
    event = messages.training_event(parse_json(body), platform.owner, *told, evaluation=evaluation)

    def act(rows: Rows) -> dict[str, Any]:
        if event.event == "training_started":
            rows.answers.forget(ended_before=platform.ago(idempotency.RETENTION))
            return registration.start(rows, event, unique_names=platform.contract != "2025")
        return training.record(rows, event)

    facts = act_once(platform, request, body, act, durable=event.event in _MILESTONES)
    if platform.contract == "2025":
        return {"received": True}
    # The base URL is that of this request, which may differ from that of the first one with the same key.
    url = {"modelUrl": f"{base_url(request)}{facts['modelUrl']}"} if "modelUrl" in facts else {}
    shown = {"shows": list(messages.SHOWN)} if event.event == "training_started" else {}
    return {"received": True, "event": event.event, "mode": "remote", **facts, **url, **shown}


def _prepare_upload(request: Request, body: bytes) -> dict[str, Any]:
    platform = platform_of(request)
    wanted = messages.upload_request(parse_json(body), platform.owner, platform.when(request), _order(request))
    storage_endpoints.check_size(wanted.size)
    facts = act_once(platform, request, body, lambda rows: uploads.expect(rows, wanted))
    # Signed again each time: the answer to a repeated request must not contain a URL that has expired.
    path = storage_endpoints.upload_path(uploads.id_of(facts["uploadPath"]))
    answer = {"uploadUrl": platform.signed_url(request, "PUT", path), "gcsPath": facts["gcsPath"]}
    if platform.contract == "2025":
        return answer
    return answer | facts | _resumable(request, platform, wanted, facts)


def _resumable(
    request: Request, platform: Platform, wanted: messages.UploadRequest, facts: dict[str, Any]
) -> dict[str, Any]:
    """Offer a resumable upload of the same file, to clients that know run ids."""
    if wanted.run_id is None:
        return {}
    upload_id = uploads.id_of(facts["uploadPath"])
    transfers.discard_damaged(platform, upload_id)
    with platform.store.write() as rows:
        transfer = transfers.resume(rows, upload_id, platform)
    urls = {"create": tus_endpoints.creation_url(request, platform, upload_id)}
    return {"tus": urls | ({"resume": tus_endpoints.transfer_url(request, platform, transfer)} if transfer else {})}
