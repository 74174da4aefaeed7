"""Chunk ids: the same delivery, made again from the same journal, has the same id."""

from __future__ import annotations

import hashlib

FORMAT_VERSION = 2
"""Of ids that are made of the events' identities. Those of version 1 were made of their local ids."""


def digest(body: str) -> str:
    """Return the sha256 of a body's UTF-8 bytes, as 64 hex digits."""
    return hashlib.sha256(body.encode()).hexdigest()


def span(first: tuple[str, int], last: tuple[str, int]) -> str:
    """Return which events a delivery covers, as text.

    Args:
        first: The first event: uuid of its session, and its number there.
        last: The last one.
    """
    return f"{first[0]} {first[1]} {last[0]} {last[1]}"


def chunk_id(
    *,
    run_id: str,
    platform: str,
    base_url: str,
    kind: str,
    first_event: int,
    last_event: int,
    body_digest: str,
    span: str | None = None,
) -> str:
    """Return the id of one delivery: 64 hex digits that depend on nothing but what is delivered, and where.

    Each part is preceded by its length, so that no two different deliveries run together to the same text.

    Args:
        run_id: Uuid of the run.
        platform: Name of the platform's API.
        base_url: Where it is.
        kind: The delivery's kind.
        first_event: Id of the first event that it covers; of no account where there is a span.
        last_event: Id of the last event that it covers.
        body_digest: `digest` of the body, which names a blob by its sha256 where there is one.
        span: From `span`; None for what an earlier version planned.
    """
    covered = (str(first_event), str(last_event)) if span is None else (span,)
    version = 1 if span is None else FORMAT_VERSION
    parts = (str(version), run_id, platform, base_url, kind, *covered, body_digest)
    return digest("".join(f"{len(part)}:{part}" for part in parts))
