"""Datasets that clients make, upload files for, and take versions of.

POST /api/datasets → POST /api/upload/signed-url → PUT → POST …/ingest → POST …/export (a version)
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import replace
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from uploader.server.api import views
from uploader.server.api.bodies import Json, parse_json, read_body
from uploader.server.api.storage_endpoints import check_signature, check_size, receive
from uploader.server.api.webhooks import act_once
from uploader.server.http_errors import Conflict, Invalid, NotFound
from uploader.server.local_platform import Platform, current_platform_of, platform_of
from uploader.server.rules import ingesting
from uploader.server.rules.editing import checked_metadata
from uploader.server.rules.messages import mapping, optional_integer, text
from uploader.server.storage import datasets
from uploader.server.storage.dataset_store import Dataset, DatasetFile
from uploader.server.storage.statements import Rows

_SAID = ("name", "description", "license", "tags", "task", "visibility", "format", "classNames")
_POLICIES = frozenset({"skip", "keep_both", "replace"})


async def create_dataset(request: Request) -> Response:
    """Make an empty dataset."""
    body = await read_body(request)
    return Json(await run_in_threadpool(_create, request, body))


def get_dataset(request: Request) -> Response:
    """Return what is known of a dataset."""
    platform = current_platform_of(request)
    with platform.store.write() as rows:
        return Json({"dataset": _shown(platform, _find(platform, rows, request))})


async def update_dataset(request: Request) -> Response:
    """Set fields of a dataset."""
    body = await read_body(request)
    return Json(await run_in_threadpool(_update, request, body))


async def sign_upload(request: Request) -> Response:
    """Return a URL to PUT a file for a dataset to."""
    body = await read_body(request)
    return Json(await run_in_threadpool(_sign, request, body))


async def put_file(request: Request) -> Response:
    """Receive the bytes of a file."""
    platform = platform_of(request)
    check_signature(request, platform)
    with platform.store.read() as rows:
        file = _file(rows, request.path_params["upload"])
    sha256, size = await receive(request, platform, file.declared_size)

    def finish() -> None:
        with platform.store.write(durable=True) as rows:
            rows.datasets.put_file(replace(file, sha256=sha256, size=size))

    await run_in_threadpool(finish)
    return Json({"sha256": sha256, "size": size})


async def complete_upload(request: Request) -> Response:
    """Confirm that a file has arrived."""
    body = await read_body(request)
    return Json(await run_in_threadpool(_complete, request, body))


async def ingest_file(request: Request) -> Response:
    """Take a file that has arrived into its dataset."""
    body = await read_body(request)
    return Json(await run_in_threadpool(_ingest, request, body))


async def create_version(request: Request) -> Response:
    """Keep the dataset as it is as a numbered version, unless the newest ones are the same."""
    await read_body(request)
    return Json(await run_in_threadpool(_version, request))


_DATASET = "/api/datasets/{owner}/{dataset}"

routes = [
    Route("/api/datasets", create_dataset, methods=["POST"]),
    Route(_DATASET, get_dataset, methods=["GET"]),
    Route(_DATASET, update_dataset, methods=["PATCH"]),
    Route(f"{_DATASET}/ingest", ingest_file, methods=["POST"]),
    Route(f"{_DATASET}/export", create_version, methods=["POST"]),
    Route("/api/upload/signed-url", sign_upload, methods=["POST"]),
    Route("/api/upload/complete", complete_upload, methods=["POST"]),
    Route("/storage/dataset-files/{upload}", put_file, methods=["PUT"]),
]


def _create(request: Request, body: bytes) -> dict[str, Any]:
    platform, wanted = current_platform_of(request), mapping(parse_json(body), "The body")
    slug = text(wanted.get("dataset"), "dataset")
    datasets.file_of(platform.data, platform.owner, slug)  # a name that one can have
    said, metadata = _said(wanted), checked_metadata(wanted.get("metadata") or {}, "metadata")

    def act(rows: Rows) -> dict[str, Any]:
        if _known(platform, rows, platform.owner, slug):
            raise Conflict(f"There is a dataset '{platform.owner}/{slug}' already")
        now = platform.now()
        made = Dataset(secrets.token_hex(12), platform.owner, slug, {"name": slug, **said}, metadata, now, now)
        rows.datasets.put(made)
        return {"id": made.id, "owner": made.owner, "dataset": made.slug, "region": views.REGION}

    return act_once(platform, request, body, act, durable=True)


def _update(request: Request, body: bytes) -> dict[str, Any]:
    platform, wanted = current_platform_of(request), mapping(parse_json(body), "The body")
    with platform.store.write(durable=True) as rows:
        known = _find(platform, rows, request)
        metadata = checked_metadata(wanted["metadata"], "metadata") if "metadata" in wanted else known.metadata
        said = {**known.properties, **_said(wanted)}
        rows.datasets.put(replace(known, properties=said, metadata=metadata, updated_at=platform.now()))
    return {"success": True, "dataset": known.slug}


def _sign(request: Request, body: bytes) -> dict[str, Any]:
    platform, wanted = current_platform_of(request), mapping(parse_json(body), "The body")
    if wanted.get("assetType") != "datasets":
        raise Invalid("'assetType' must be datasets: models are uploaded by /api/webhooks/models/upload here")
    name, size = text(wanted.get("filename"), "filename"), optional_integer(wanted, "totalBytes", minimum=0)
    if not name.endswith(ingesting.ENDINGS) or size is None:
        raise Invalid(f"'filename' must end in one of {', '.join(ingesting.ENDINGS)}, and 'totalBytes' be a number")
    check_size(size)
    with platform.store.write() as rows:
        dataset = rows.datasets.get(text(wanted.get("assetId"), "assetId"))
        if dataset is None:
            raise NotFound("No such dataset here")
        file = DatasetFile(secrets.token_hex(12), dataset.id, name, size)
        rows.datasets.put_file(file)
    url = platform.signed_url(request, "PUT", f"/storage/dataset-files/{file.id}")
    return {"sessionId": file.id, "uploadUrl": url, "expiresAt": platform.now()}


def _complete(request: Request, body: bytes) -> dict[str, Any]:
    platform, wanted = current_platform_of(request), mapping(parse_json(body), "The body")
    with platform.store.read() as rows:
        file = _arrived(rows, text(wanted.get("sessionId"), "sessionId"))
    return {"success": True, "file": {"size": file.size}}


def _ingest(request: Request, body: bytes) -> dict[str, Any]:
    platform, wanted = current_platform_of(request), mapping(parse_json(body), "The body")
    if wanted.get("conflictPolicy", "skip") not in _POLICIES:
        raise Invalid(f"'conflictPolicy' must be one of {', '.join(sorted(_POLICIES))}")
    if wanted.get("conflictPolicy", "skip") != "skip":
        raise Invalid("This server keeps what is there: 'conflictPolicy' must be skip")
    with platform.store.write(durable=True) as rows:
        dataset, file = _find(platform, rows, request), _arrived(rows, text(wanted.get("sessionId"), "sessionId"))
        if file.dataset_id != dataset.id:
            raise NotFound("This upload is for another dataset")
        if file.filename.endswith(ingesting.LISTED):
            ingesting.ingest(platform.data, dataset.owner, dataset.slug, platform.files.path(file.sha256 or ""))
        rows.datasets.put_file(replace(file, ingested=True))
        rows.datasets.put(replace(dataset, updated_at=platform.now()))
    return {"jobId": file.id, "status": "queued"}


def _version(request: Request) -> dict[str, Any]:
    platform = current_platform_of(request)
    with platform.store.write(durable=True) as rows:
        dataset = _find(platform, rows, request)
        digest = hashlib.sha256("\n".join(rows.datasets.contents(dataset.id)).encode())
        listed = datasets.file_of(platform.data, dataset.owner, dataset.slug)
        digest.update(listed.read_bytes() if listed.is_file() else b"")
        number, is_known = rows.datasets.version(dataset.id, digest.hexdigest())
    return {"version": number, "reused": is_known}


def _said(wanted: dict[str, Any]) -> dict[str, Any]:
    return {name: wanted[name] for name in _SAID if wanted.get(name) is not None}


def _find(platform: Platform, rows: Rows, request: Request) -> Dataset:
    owner, slug = request.path_params["owner"], request.path_params["dataset"]
    found = _known(platform, rows, owner, slug)
    if found is None:
        raise NotFound(f"No dataset '{owner}/{slug}' here")
    return found


def _known(platform: Platform, rows: Rows, owner: str, slug: str) -> Dataset | None:
    """Return a dataset; one that the operator has put into the folder gets its row now."""
    file = datasets.file_of(platform.data, owner, slug)
    found = rows.datasets.at(owner, slug)
    if found is None and file.is_file():
        now = platform.now()
        found = Dataset(secrets.token_hex(12), owner, slug, {"name": slug}, {}, now, now)
        rows.datasets.put(found)
    return found


def _file(rows: Rows, upload_id: str) -> DatasetFile:
    file = rows.datasets.file(upload_id)
    if file is None:
        raise NotFound("No such upload here")
    return file


def _arrived(rows: Rows, upload_id: str) -> DatasetFile:
    file = _file(rows, upload_id)
    if file.sha256 is None:
        raise Conflict("The file has not arrived yet")
    return file


def _shown(platform: Platform, dataset: Dataset) -> dict[str, Any]:
    counts = datasets.splits(platform.data, dataset.owner, dataset.slug)
    return {
        "visibility": "private",
        "task": "detect",
        **dataset.properties,
        "id": dataset.id,
        "owner": dataset.owner,
        "dataset": dataset.slug,
        "imageCount": sum(counts.values()),
        "splits": {**counts, "labeled": sum(counts.values())},
        "starCount": 0,
        "isStarred": False,
        "status": "processing" if datasets.is_processing(platform.data, dataset.owner, dataset.slug) else "ready",
        "createdAt": dataset.created_at,
        "updatedAt": dataset.updated_at,
        "metadata": dataset.metadata,
    }
