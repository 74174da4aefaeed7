"""Reads answers whole, and no more of them than was asked for, however they are cut, compressed or drawn out."""

from __future__ import annotations

import os
import tempfile
import zlib
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO

import urllib3

from uploader.platforms.http.answer_deadline import LEAST

_FIRST_FINAL = 200  # lower statuses announce an answer that is still to come
_PACKED = frozenset({"gzip", "x-gzip", "deflate"})
_ANY_HEADER = 47  # of zlib: gzip's or its own


def read(raw: urllib3.BaseHTTPResponse, longest: int) -> tuple[bytes, bool]:
    """Return a body up to the limit, and whether that is all of it; if not, the connection is closed.

    Args:
        raw: The answer, of which nothing was read.
        longest: How many bytes are returned at most.

    Raises:
        HTTPException: There is no whole answer.
    """
    try:
        if raw.status < _FIRST_FINAL:
            raise HTTPException(f"only {raw.status} came")
        blocks: list[bytes] = []
        size = 0
        while size <= longest and (block := raw.read(LEAST, decode_content=False)):
            blocks.append(block)
            size += len(block)
        if size <= longest:
            _require_whole(raw, size)
        body = _unpacked(b"".join(blocks), raw.headers.get("Content-Encoding", ""), longest)
        return body[:longest], max(size, len(body)) <= longest
    finally:
        raw.close()


def _require_whole(raw: urllib3.BaseHTTPResponse, size: int) -> None:
    """Refuse a body that ended early, which urllib3 before 2 accepts as complete."""
    if raw.length_remaining:
        raise HTTPException(f"it ended after {size} bytes, {raw.length_remaining} too early")


def _unpacked(body: bytes, encoding: str, longest: int) -> bytes:
    """Decompress a body that was compressed without having been asked for, up to one byte above the limit.

    The library has no limit, and a body may expand a thousandfold.
    """
    if not body or encoding.strip().lower() not in _PACKED:
        return body
    try:
        unpack = zlib.decompressobj(_ANY_HEADER)
        whole = unpack.decompress(body, longest + 1)
    except zlib.error as error:
        raise HTTPException("it is not packed as it says") from error
    if not unpack.eof and len(whole) <= longest and len(body) <= longest:
        raise HTTPException("what is packed ended early")
    return whole


def save(raw: urllib3.BaseHTTPResponse, target: Path) -> None:
    """Write a body to a file that only this user can read, under a unique temporary name first.

    Args:
        raw: The body, of which nothing was read.
        target: What it is called once it is whole and on disk.

    Raises:
        HTTPException: It ended early.
    """
    handle, part = tempfile.mkstemp(".part", dir=target.parent)
    try:
        with raw, os.fdopen(handle, "wb") as file:
            _copy(raw, file)
        Path(part).replace(target)
    finally:
        Path(part).unlink(missing_ok=True)


def pass_on(raw: urllib3.BaseHTTPResponse, write: Callable[[bytes], object]) -> None:
    """Pass a body on, block by block.

    Args:
        raw: The body, of which nothing was read.
        write: Called with each block.

    Raises:
        HTTPException: It ended early.
    """
    size = 0
    while block := raw.read(LEAST):
        write(block)
        size += len(block)
    _require_whole(raw, size)


def _copy(raw: urllib3.BaseHTTPResponse, file: BinaryIO) -> None:
    pass_on(raw, file.write)
    file.flush()
    os.fsync(file.fileno())
