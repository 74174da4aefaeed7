"""`/storage/…/transfers`: resumable uploads by tus 1.0.

A transfer's URL is signed for all methods of tus at once, and stays valid longer than the transfer, so that a late
client learns that the transfer has expired.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from functools import wraps

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from uploader.server import tus_headers
from uploader.server.api import storage_endpoints
from uploader.server.api.bodies import answer_api_error, blocks, content_length
from uploader.server.http_errors import ApiError, Conflict, Locked, NotFound, TooLarge
from uploader.server.local_platform import Platform, platform_of
from uploader.server.rules import transfers
from uploader.server.storage.transfer_store import Transfer

_ANY_METHOD = "TUS"  # in signatures: one URL serves HEAD, PATCH and DELETE
_CAPABILITIES = {
    "Tus-Version": tus_headers.VERSION,
    "Tus-Extension": tus_headers.EXTENSIONS,
    "Tus-Max-Size": str(storage_endpoints.MAX_FILE),
    "Tus-Checksum-Algorithm": ",".join(tus_headers.ALGORITHMS),
}

Handler = Callable[[Request], Awaitable[Response]]


def creation_url(request: Request, platform: Platform, upload_id: str) -> str:
    """Return the signed URL at which a client starts a resumable upload."""
    return platform.signed_url(request, "POST", f"{storage_endpoints.upload_path(upload_id)}/transfers")


def transfer_url(request: Request, platform: Platform, transfer: Transfer) -> str:
    """Return the signed URL of a transfer."""
    end = transfer.expires + transfers.LIFETIME
    return platform.signed_url_until(request, _ANY_METHOD, f"/storage/transfers/{transfer.id}", end)


def tus_endpoint(handler: Handler) -> Handler:
    """Refuse other versions of tus, and name the supported one in every answer, errors included."""

    @wraps(handler)
    async def endpoint(request: Request) -> Response:
        try:
            tus_headers.check_version(request.headers)
            answer = await handler(request)
        except ApiError as error:
            answer = await answer_api_error(request, error)
        answer.headers["Tus-Resumable"] = tus_headers.VERSION
        return answer

    return endpoint


async def get_capabilities(_: Request) -> Response:
    """Return the supported parts of tus. They are the same for every upload, so no signature is needed."""
    return Response(status_code=204, headers={"Tus-Resumable": tus_headers.VERSION, **_CAPABILITIES})


@tus_endpoint
async def create(request: Request) -> Response:
    """Start a transfer."""
    platform = platform_of(request)
    storage_endpoints.check_signature(request, platform)
    size = tus_headers.whole_number(request.headers, "Upload-Length")
    storage_endpoints.check_size(size)
    sha256 = tus_headers.sha256_of(tus_headers.metadata(request.headers))
    upload = await run_in_threadpool(storage_endpoints.find_upload, platform, request.path_params["upload"])
    metadata = request.headers.get("upload-metadata", "")
    transfer = await run_in_threadpool(transfers.begin, platform, upload, size, sha256, metadata)
    location = transfer_url(request, platform, transfer)
    return Response(status_code=201, headers={"Location": location, **_state(platform, transfer)})


@tus_endpoint
async def serve_transfer(request: Request) -> Response:
    """Serve a request for a transfer. Clients behind proxies may put the method into `X-HTTP-Method-Override`."""
    platform = platform_of(request)
    storage_endpoints.check_signature(request, platform, _ANY_METHOD)
    method = request.headers.get("x-http-method-override", request.method).upper()
    if method not in _METHODS:
        raise NotFound(f"An upload accepts {', '.join(_METHODS)} only")
    return await _METHODS[method](request)


async def _get_offset(request: Request) -> Response:
    platform, transfer_id = platform_of(request), request.path_params["transfer"]
    transfer = await run_in_threadpool(transfers.find, platform, transfer_id)
    if transfers.offset(platform, transfer) == transfer.size:
        # All bytes are here, but completion may be reported only once the file is stored: wait for that, or do it.
        async with platform.locks.of(transfer_id):
            transfer = await run_in_threadpool(transfers.store_if_complete, platform, transfer_id)
    headers = {"Upload-Length": str(transfer.size), "Cache-Control": "no-store", **_state(platform, transfer)}
    if transfer.metadata:
        headers["Upload-Metadata"] = transfer.metadata
    return Response(headers=headers)


async def _append(request: Request) -> Response:
    platform, transfer_id = platform_of(request), request.path_params["transfer"]
    tus_headers.check_media_type(request.headers)
    async with _exclusive(platform, transfer_id):
        transfer = await run_in_threadpool(transfers.find, platform, transfer_id)
        await _receive(request, platform, transfer)
        transfer = await run_in_threadpool(transfers.store_if_complete, platform, transfer_id)
    return Response(status_code=204, headers=_state(platform, transfer))


async def _terminate(request: Request) -> Response:
    platform, transfer_id = platform_of(request), request.path_params["transfer"]
    async with _exclusive(platform, transfer_id):
        await run_in_threadpool(transfers.find, platform, transfer_id)
        await run_in_threadpool(transfers.discard, platform, transfer_id)
    return Response(status_code=204)


_METHODS: dict[str, Handler] = {"HEAD": _get_offset, "PATCH": _append, "DELETE": _terminate}

_CREATION, _TRANSFER = "/storage/uploads/{upload}/transfers", "/storage/transfers/{transfer}"

routes = [
    Route(_CREATION, create, methods=["POST"]),
    Route(_TRANSFER, serve_transfer, methods=["HEAD", "PATCH", "DELETE", "POST"]),
    *(Route(path, get_capabilities, methods=["OPTIONS"]) for path in (_CREATION, _TRANSFER)),
]


def _exclusive(platform: Platform, transfer_id: str) -> asyncio.Lock:
    lock = platform.locks.of(transfer_id)
    if lock.locked():
        raise Locked("Another request is writing to this upload: ask for its offset and resume there")
    return lock


async def _receive(request: Request, platform: Platform, transfer: Transfer) -> None:
    here = transfers.offset(platform, transfer)
    if tus_headers.whole_number(request.headers, "Upload-Offset") != here:
        raise Conflict(f"This upload has {here} bytes so far: resume there")
    missing = transfer.size - here
    if content_length(request, default=0) > missing:
        raise TooLarge(f"Only {missing} bytes of this upload are missing")
    checksum = tus_headers.checksum(request.headers)
    if missing == 0:
        return
    with ExitStack() as stack:
        file = await run_in_threadpool(stack.enter_context, platform.partial_files.receiving(transfer.id, checksum))
        async for block in blocks(request, missing):
            await run_in_threadpool(file.write, block)
        # Leaving the context may copy the checked bytes, which takes too long for the event loop.
        await run_in_threadpool(stack.pop_all().close)


def _state(platform: Platform, transfer: Transfer) -> dict[str, str]:
    return {
        "Upload-Offset": str(transfers.offset(platform, transfer)),
        "Upload-Expires": tus_headers.http_date(transfer.expires),
    }
