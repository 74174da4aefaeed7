"""How long the server waits, and for how many. No client can hold a connection for ever, or keep the others out."""

from __future__ import annotations

from dataclasses import dataclass

LEAST_BODY = 64 * 1024
"""Bytes of a body that must come within `Limits.body` seconds of waiting: about 1 kB a second for those of a minute."""

LARGEST_HEAD = 16 * 1024
"""Bytes of a request's head that may wait for its end."""


@dataclass(frozen=True)
class Limits:
    """Patience in seconds, and the number of connections.

    Attributes:
        head: From a connection's or a request's first sign until the end of the request's head.
        body: Waiting for each `LEAST_BODY` bytes of a body, or for its end.
        answer: Waiting for a client that reads nothing of its answer.
        idle: Between two requests of one connection. Longer than the pauses of a client, whose next request would meet
            a closing connection.
        connections: Open at once; those above are answered 503.
    """

    head: float = 30
    body: float = 60
    answer: float = 60
    idle: int = 75
    connections: int = 256
