"""Request and response bodies: size limits, JSON, and errors as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from uploader.server.api.json_cost import check_cost
from uploader.server.http_errors import ApiError, Invalid, Malformed, TooLarge, TooSlow

MAX_JSON = 32 * 1024 * 1024
"""Largest JSON body accepted, in bytes."""

_BLOCK = 1024 * 1024  # bytes given to a thread at once: a thread call per network packet would cost more than the disk


class Json(Response):
    """A JSON answer in ASCII, because a payload may contain a lone surrogate, which UTF-8 cannot encode."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Return `content` as JSON text."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


async def read_body(request: Request, limit: int = MAX_JSON) -> bytes:
    """Return the complete body.

    Raises:
        TooLarge: It is, or is announced to be, longer than `limit` bytes. The rest is not read.
        Malformed: The client disconnected before the end.
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

    If the body breaks off, what arrived is yielded before the error is raised.

    Raises:
        TooLarge: It has more than `limit` bytes; the excess is not yielded.
        Malformed: The client disconnected before the end.
        TooSlow: The client stopped sending.
    """
    block, taken = bytearray(), 0
    broken: ApiError | None = None
    try:
        async for chunk in request.stream():
            taken += len(chunk)
            if taken > limit:
                raise TooLarge(f"The body is longer than the {limit} bytes allowed here")
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
    """Return the announced length of the body, or `default` if none is announced."""
    value = request.headers.get("content-length", "")
    return int(value) if value.isascii() and value.isdigit() else default


def parse_json(body: bytes) -> Any:
    """Return the value of a JSON body.

    Raises:
        Malformed: It is not valid JSON (NaN and Infinity are not).
        Invalid: It contains a number that would be parsed as infinity.
        TooLarge: Its values would need too much memory.
    """
    check_cost(body)
    try:
        return json.loads(body, parse_constant=_refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"The body is not JSON: {error}") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    """Return a number that JSON can express; 1e999 would be parsed as infinity, which it cannot."""
    number = float(text)
    if math.isinf(number):
        raise Invalid("The body contains a number that is too large for a float")
    return number


async def answer_api_error(_: Request, error: Exception) -> Response:
    """Answer a refused request with the status of its error."""
    assert isinstance(error, ApiError)
    return Json({"error": str(error)}, status_code=error.status, headers=error.headers)


async def answer_http_error(_: Request, error: Exception) -> Response:
    """Answer a request that the router refuses: an unknown path or method."""
    assert isinstance(error, HTTPException)
    return Json({"error": error.detail}, status_code=error.status_code, headers=error.headers)


async def answer_crash(_: Request, __: Exception) -> Response:
    """Answer an unexpected error without its details, which go to the log only."""
    return Json({"error": "The server failed on this request; its log says why"}, status_code=500)
