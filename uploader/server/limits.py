"""Time-outs and connection limits, so that no client can hold a connection forever or shut the others out."""

from __future__ import annotations

from dataclasses import dataclass

MIN_BODY_BYTES = 64 * 1024
"""Bytes of a body that must arrive within `Limits.body` seconds of waiting; by default about 1 kB a second."""

MAX_HEAD_BYTES = 16 * 1024
"""Largest request head, in bytes."""


@dataclass(frozen=True)
class Limits:
    """Time-outs in seconds, and the number of connections.

    Attributes:
        head: From the connection, or a request's first byte, to the end of the request's head.
        body: Waiting for each `MIN_BODY_BYTES` bytes of a body, or for its end.
        answer: Waiting for a client that does not read its answer.
        idle: Between two requests on one connection. Longer than the drain's pauses, so that its next request does not
            meet a closing connection.
        connections: Connections open at once, beside streams of news; further ones are answered 503.
        streams: Pages that are told what is new, each by a connection of its own; further ones are answered 503.
        viewing: Between two requests for pages on one connection, so that browsers do not hold those of trainings.
    """

    head: float = 30
    body: float = 60
    answer: float = 60
    idle: int = 75
    connections: int = 256
    streams: int = 64
    viewing: int = 5
