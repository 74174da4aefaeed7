"""HTTP at the level of bytes: reading complete requests, and writing answers that may be incomplete."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO


@dataclass(frozen=True)
class Request:
    """One request as received, with header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """One answer; with `cut`, only that many bytes of the body are sent before the connection is closed."""

    status: int
    headers: dict[str, str]
    body: bytes
    cut: int | None = None


def read_head(stream: BinaryIO) -> Request | None:
    """Return the next request without its body, or None at the end of the connection."""
    line = stream.readline().decode("latin-1")
    if not line:
        return None
    method, path, _ = line.split()
    headers = {}
    while header := stream.readline().decode("latin-1").strip():
        name, _, value = header.partition(":")
        headers[name.lower()] = value.strip()
    return Request(method, path, headers, b"")


def read_body(stream: BinaryIO, length: int) -> bytes:
    """Read exactly `length` bytes.

    Raises:
        ConnectionError: The connection ended earlier.
    """
    body = stream.read(length) or b""
    if len(body) < length:
        raise ConnectionError("the client went away")
    return body


def encode(answer: Answer) -> bytes:
    """Return the bytes of an answer, up to its `cut`."""
    headers = {**answer.headers, "Content-Length": str(len(answer.body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {answer.status} Chaos\r\n{head}\r\n".encode("latin-1") + answer.body[: answer.cut]
