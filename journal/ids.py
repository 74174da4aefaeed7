"""Chunk ids: the same delivery, made again from the same journal, has the same id."""

from __future__ import annotations

import hashlib

FORMAT_VERSION = 1


def digest(body: str) -> str:
    """Return the sha256 of a body's UTF-8 bytes, as 64 hex digits."""
    return hashlib.sha256(body.encode()).hexdigest()


def chunk_id(
    *,
    run_id: str,
    platform: str,
    base_url: str,
    kind: str,
    first_event: int,
    last_event: int,
    body_digest: str,
) -> str:
    """Return the id of one delivery: 64 hex digits that depend on nothing but what is delivered, and where.

    Each part is preceded by its length, so that no two different deliveries run together to the same text.

    Args:
        run_id: Uuid of the run.
        platform: Name of the platform's API.
        base_url: Where it is.
        kind: The delivery's kind.
        first_event: Id of the first event that it covers.
        last_event: Id of the last event that it covers.
        body_digest: `digest` of the body, which names a blob by its sha256 where there is one.
    """
    parts = (
        str(FORMAT_VERSION),
        run_id,
        platform,
        base_url,
        kind,
        str(first_event),
        str(last_event),
        body_digest,
    )
    return digest("".join(f"{len(part)}:{part}" for part in parts))
