"""`Idempotency-Key`: a request that is sent twice takes effect once and gets the same answer both times.

The first answer is stored in the transaction that makes the change, so neither exists without the other. When
duplicates arrive at once, one makes the change while the others wait for the store and then find its answer. A refused
request changed nothing and stores no answer, so it can be retried.

Answers about a model are deleted with the model, or some time after its training ended, when all of it was delivered
long ago. A request repeated after that still does no harm, because epochs, console text and checkpoints have keys of
their own. Registrations have none, so their answers are kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from uploader.server.http_errors import Invalid
from uploader.server.storage.statements import Rows

HEADER = "Idempotency-Key"

RETENTION = timedelta(days=30)
"""How long answers about a training are kept after its end."""

_MAX_LENGTH = 255


@dataclass(frozen=True)
class IdempotentRequest:
    """What identifies a request: method and path, the client's key, and the sha256 of the body."""

    scope: str
    key: str
    digest: str


def identify(method: str, path: str, key: str, body: bytes) -> IdempotentRequest:
    """Return what identifies a request that carries a key.

    Raises:
        Invalid: The key is empty or longer than 255 characters.
    """
    if not 0 < len(key) <= _MAX_LENGTH:
        raise Invalid(f"{HEADER} must have 1 to {_MAX_LENGTH} characters")
    return IdempotentRequest(f"{method} {path}", key, hashlib.sha256(body).hexdigest())


def once(rows: Rows, request: IdempotentRequest | None, act: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Run `act`, or return the answer that the same request got before.

    Args:
        rows: The store's tables, in the writing transaction that `act` uses.
        request: What identifies the request, or None to run `act` in any case.
        act: Makes the change and returns the answer.

    Raises:
        Invalid: The key was used before with another body.
    """
    if request is None:
        return act()
    known = rows.answers.get(request.scope, request.key)
    if known is None:
        answer = act()
        rows.answers.insert(request.scope, request.key, request.digest, answer, _deleted_with(answer))
        return answer
    digest, answer = known
    if digest != request.digest:
        raise Invalid(f"This {HEADER} was used before with another body: use a new key for each request")
    return answer


def _deleted_with(answer: dict[str, Any]) -> str | None:
    """Return the model that an answer is deleted with; None for a registration, which creates a run or model."""
    return None if "runId" in answer else answer.get("modelId")
