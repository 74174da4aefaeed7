"""`/storage/…/transfers`: tus 1.0, uploads in pieces that go on after an interruption.

A transfer's URL is signed for all of tus's methods at once, and outlives the transfer, so that a client which comes
too late is told so.
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
from uploader.server.rules import transfers
from uploader.server.services import Platform, platform_of
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
    """Return the signed URL at which a client begins to send an upload in pieces."""
    return platform.signed_url(request, "POST", f"{storage_endpoints.upload_path(upload_id)}/transfers")


def transfer_url(request: Request, platform: Platform, transfer: Transfer) -> str:
    """Return the signed URL of a transfer."""
    end = transfer.expires + transfers.LIFETIME
    return platform.signed_url_until(request, _ANY_METHOD, f"/storage/transfers/{transfer.id}", end)


def speaks_tus(handler: Handler) -> Handler:
    """Refuse other versions of tus, and say in every answer, refusals too, which one is spoken."""

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


async def tell_capabilities(_: Request) -> Response:
    """Say what of tus is spoken; the same for every upload, so it needs no signature."""
    return Response(status_code=204, headers={"Tus-Resumable": tus_headers.VERSION, **_CAPABILITIES})


@speaks_tus
async def create(request: Request) -> Response:
    """Begin a transfer."""
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


@speaks_tus
async def serve_transfer(request: Request) -> Response:
    """Do with a transfer what the method says; clients behind proxies say it in `X-HTTP-Method-Override`."""
    platform = platform_of(request)
    storage_endpoints.check_signature(request, platform, _ANY_METHOD)
    method = request.headers.get("x-http-method-override", request.method).upper()
    if method not in _METHODS:
        raise NotFound(f"An upload knows {', '.join(_METHODS)} only")
    return await _METHODS[method](request)


async def _tell_offset(request: Request) -> Response:
    platform, transfer_id = platform_of(request), request.path_params["transfer"]
    transfer = await run_in_threadpool(transfers.find, platform, transfer_id)
    if transfers.offset(platform, transfer) == transfer.size:
        # All of it is here, but only what is stored may be called so: wait for the request that is at it, or do it.
        async with platform.locks.of(transfer_id):
            transfer = await run_in_threadpool(transfers.settle, platform, transfer_id)
    headers = {"Upload-Length": str(transfer.size), "Cache-Control": "no-store", **_state(platform, transfer)}
    if transfer.metadata:
        headers["Upload-Metadata"] = transfer.metadata
    return Response(headers=headers)


async def _append(request: Request) -> Response:
    platform, transfer_id = platform_of(request), request.path_params["transfer"]
    tus_headers.check_media_type(request.headers)
    async with _alone(platform, transfer_id):
        transfer = await run_in_threadpool(transfers.find, platform, transfer_id)
        await _receive(request, platform, transfer)
        transfer = await run_in_threadpool(transfers.settle, platform, transfer_id)
    return Response(status_code=204, headers=_state(platform, transfer))


async def _terminate(request: Request) -> Response:
    platform, transfer_id = platform_of(request), request.path_params["transfer"]
    async with _alone(platform, transfer_id):
        await run_in_threadpool(transfers.find, platform, transfer_id)
        await run_in_threadpool(transfers.give_up, platform, transfer_id)
    return Response(status_code=204)


_METHODS: dict[str, Handler] = {"HEAD": _tell_offset, "PATCH": _append, "DELETE": _terminate}

_CREATION, _TRANSFER = "/storage/uploads/{upload}/transfers", "/storage/transfers/{transfer}"

routes = [
    Route(_CREATION, create, methods=["POST"]),
    Route(_TRANSFER, serve_transfer, methods=["HEAD", "PATCH", "DELETE", "POST"]),
    *(Route(path, tell_capabilities, methods=["OPTIONS"]) for path in (_CREATION, _TRANSFER)),
]


def _alone(platform: Platform, transfer_id: str) -> asyncio.Lock:
    lock = platform.locks.of(transfer_id)
    if lock.locked():
        raise Locked("Another request is sending to this upload: ask for its offset, and go on from there")
    return lock


async def _receive(request: Request, platform: Platform, transfer: Transfer) -> None:
    here = transfers.offset(platform, transfer)
    if tus_headers.whole_number(request.headers, "Upload-Offset") != here:
        raise Conflict(f"{here} bytes of this upload are here: go on from there")
    missing = transfer.size - here
    if content_length(request, default=0) > missing:
        raise TooLarge(f"Only {missing} bytes of this upload are missing")
    checksum = tus_headers.checksum(request.headers)
    if missing == 0:
        return
    with ExitStack() as stack:
        sink = await run_in_threadpool(stack.enter_context, platform.partial_files.receiving(transfer.id, checksum))
        async for block in blocks(request, missing):
            await run_in_threadpool(sink.write, block)
        # Leaving the context may copy what was checked: not on the event loop.
        await run_in_threadpool(stack.pop_all().close)


def _state(platform: Platform, transfer: Transfer) -> dict[str, str]:
    return {
        "Upload-Offset": str(transfers.offset(platform, transfer)),
        "Upload-Expires": tus_headers.http_date(transfer.expires),
    }
