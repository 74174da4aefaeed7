"""`/storage/…`: uploading and downloading files through signed URLs, which need no other credentials."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from uploader.server.api.bodies import Json, blocks, content_length
from uploader.server.http_errors import Malformed, NotFound, TooLarge
from uploader.server.local_platform import Platform, platform_of
from uploader.server.rules import uploads
from uploader.server.storage import datasets
from uploader.server.storage.store_records import Checkpoint, Upload

MAX_FILE = 64 * 1024**3
"""Largest file accepted, in bytes."""


def upload_path(upload_id: str) -> str:
    """Return the path to PUT an upload to."""
    return f"/storage/uploads/{upload_id}"


def checkpoint_path(checkpoint: Checkpoint) -> str:
    """Return the path of a checkpoint. It ends in the file's name, under which clients save it."""
    return f"/storage/checkpoints/{checkpoint.id}/{checkpoint.filename}"


def dataset_path(owner: str, slug: str) -> str:
    """Return the path of a dataset's file."""
    return f"/storage/datasets/{owner}/{slug}.ndjson"


def check_size(size: int | None) -> None:
    """Raise `TooLarge` for a file that is larger than `MAX_FILE`; None (unknown) is accepted."""
    if size is not None and size > MAX_FILE:
        raise TooLarge(f"The file is larger than {MAX_FILE} bytes")


def check_signature(request: Request, platform: Platform, method: str | None = None) -> None:
    """Check the signature of a signed URL.

    Args:
        request: The request.
        platform: The platform that must have signed it.
        method: The method that the URL must be signed for; by default that of the request.

    Raises:
        Forbidden: The signature is wrong or has expired.
    """
    query = request.query_params
    expires, signature = query.get("expires", ""), query.get("signature", "")
    # Not `request.url`, which is built from the client's Host header.
    path = request.scope["path"]
    platform.signer.check(method or request.method, path, expires, signature, platform.clock())


def file_answer(path: Path) -> Response:
    """Return an answer that sends a file.

    Raises:
        NotFound: The file no longer exists.
    """
    if not path.is_file():
        raise NotFound("The file no longer exists")
    return FileResponse(path, media_type="application/octet-stream")


def find_upload(platform: Platform, upload_id: str) -> Upload:
    """Return the upload with this id.

    Raises:
        NotFound: There is none.
    """
    with platform.store.read() as rows:
        upload = rows.uploads.get(upload_id)
    if upload is None:
        raise NotFound("No such upload: its model was deleted")
    return upload


async def put_upload(request: Request) -> Response:
    """Receive the bytes of an upload; they are acknowledged once all of them are on disk."""
    platform = platform_of(request)
    check_signature(request, platform)
    upload = await run_in_threadpool(find_upload, platform, request.path_params["upload"])
    sha256, size = await receive(request, platform, upload.declared_size, upload.declared_sha256)

    def finish() -> None:
        with platform.store.write(durable=True) as rows:
            uploads.finish(rows, upload, sha256, size, platform.now())

    await run_in_threadpool(finish)
    return Json({"sha256": sha256, "size": size})


def get_checkpoint(request: Request) -> Response:
    """Send the bytes of a checkpoint."""
    platform = platform_of(request)
    check_signature(request, platform)
    with platform.store.read() as rows:
        checkpoint = rows.uploads.checkpoint(request.path_params["checkpoint"])
    if checkpoint is None:
        raise NotFound("No such checkpoint: its model was deleted")
    return file_answer(platform.files.path(checkpoint.sha256))


def get_dataset(request: Request) -> Response:
    """Send a dataset's file."""
    platform = platform_of(request)
    check_signature(request, platform)
    return file_answer(datasets.file_of(platform.data, request.path_params["owner"], request.path_params["slug"]))


routes = [
    Route("/storage/uploads/{upload}", put_upload, methods=["PUT"]),
    Route("/storage/checkpoints/{checkpoint:int}/{filename}", get_checkpoint, methods=["GET"]),
    Route("/storage/datasets/{owner}/{slug}.ndjson", get_dataset, methods=["GET"]),
]


def _expected_size(request: Request, declared: int | None) -> int | None:
    announced = content_length(request, default=-1)
    sizes = {size for size in (announced, declared) if size not in (-1, None)}
    if len(sizes) > 1:
        raise Malformed(f"The upload was announced with {declared} bytes, not {announced}")
    expected = next(iter(sizes), None)
    check_size(expected)
    return expected


async def receive(
    request: Request, platform: Platform, declared_size: int | None, declared_sha256: str | None = None
) -> tuple[str, int]:
    """Receive a file and keep it; return its sha256 and size.

    Args:
        request: Holds the bytes.
        platform: Keeps the file.
        declared_size: Bytes, if they were announced.
        declared_sha256: Of the bytes, if it was announced.

    Raises:
        Malformed: It is not what was announced.
    """
    expected = _expected_size(request, declared_size)
    with ExitStack() as stack:
        incoming = await run_in_threadpool(stack.enter_context, platform.files.incoming())
        async for block in blocks(request, MAX_FILE if expected is None else expected):
            await run_in_threadpool(incoming.write, block)
        if expected is not None and incoming.size != expected:
            raise Malformed(f"The file ended after {incoming.size} of {expected} bytes")
        if declared_sha256 not in (None, incoming.sha256):
            raise Malformed(f"The upload was announced with SHA-256 {declared_sha256}, not {incoming.sha256}")
        # Leaving the context flushes a large file to disk, which takes too long for the event loop.
        await run_in_threadpool(stack.pop_all().close)
    return incoming.sha256, incoming.size
