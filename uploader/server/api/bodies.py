"""Bodies in and out: size limits, JSON, and errors as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from uploader.server.api.json_cost import require_affordable
from uploader.server.http_errors import ApiError, Invalid, Malformed, TooLarge, TooSlow

MAX_JSON = 32 * 1024 * 1024
"""Largest JSON body taken, in bytes."""

_BLOCK = 1024 * 1024  # bytes handed to a thread at once: a thread for each network packet would cost more than the disk


class Json(Response):
    """A JSON answer. ASCII only, because a payload may hold half of a surrogate pair, which UTF-8 cannot carry."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Return `content` as JSON text."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


async def read_body(request: Request, limit: int = MAX_JSON) -> bytes:
    """Return the whole body.

    Raises:
        TooLarge: It is, or says that it is, longer than `limit` bytes; it is not read further.
        Malformed: The client went away before the end.
    """
    if content_length(request, default=0) > limit:
        raise TooLarge(f"The body is larger than {limit} bytes")
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                raise TooLarge(f"The body is larger than {limit} bytes")
    except ClientDisconnect as error:
        raise Malformed("The body ended early") from error
    return bytes(body)


async def blocks(request: Request, limit: int) -> AsyncIterator[bytes]:
    """Yield the body in blocks of about 1 MB.

    What arrived before it broke off is yielded before the error is raised.

    Raises:
        TooLarge: It has more than `limit` bytes; what is above is not yielded.
        Malformed: The client went away before the end.
        TooSlow: The client did not go on.
    """
    block, taken = bytearray(), 0
    broken: ApiError | None = None
    try:
        async for chunk in request.stream():
            taken += len(chunk)
            if taken > limit:
                raise TooLarge(f"The body has more than the {limit} bytes that are allowed here")
            block += chunk
            if len(block) >= _BLOCK:
                yield bytes(block)
                block.clear()
    except ClientDisconnect:
        broken = Malformed(f"The body ended after {taken} bytes")
    except TooSlow as error:
        broken = error
    yield bytes(block)
    if broken:
        raise broken


def content_length(request: Request, default: int) -> int:
    """Return the length that the client announces, or `default` when it announces none."""
    value = request.headers.get("content-length", "")
    return int(value) if value.isascii() and value.isdigit() else default


def parse_json(body: bytes) -> Any:
    """Return the value of a JSON body.

    Raises:
        Malformed: It is not JSON; NaN and Infinity are not.
        Invalid: It holds a number that would be read as infinity.
        TooLarge: Its values would take too much memory.
    """
    require_affordable(body)
    try:
        return json.loads(body, parse_constant=_refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"The body is not JSON: {error}") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    """Return a number that can be told again: 1e999 would be read as infinity, which no JSON can hold."""
    number = float(text)
    if math.isinf(number):
        raise Invalid("The body holds a number that JSON cannot carry")
    return number


async def answer_api_error(_: Request, error: Exception) -> Response:
    """Answer a refusal with its status."""
    assert isinstance(error, ApiError)
    return Json({"error": str(error)}, status_code=error.status, headers=error.headers)


async def answer_http_error(_: Request, error: Exception) -> Response:
    """Answer what the router refuses: an unknown path or method."""
    assert isinstance(error, HTTPException)
    return Json({"error": error.detail}, status_code=error.status_code, headers=error.headers)


async def answer_crash(_: Request, __: Exception) -> Response:
    """Answer an unexpected error without its details, which go to the log."""
    return Json({"error": "The server failed on this request; its log says why"}, status_code=500)
