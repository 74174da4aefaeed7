"""`Idempotency-Key`: the same request twice has the effect of one, and gets the same answer.

The first answer is stored in the transaction that has the effect, so neither can exist without the other, and of
duplicates that arrive together one acts while the others wait for the store and then find its answer. A refused
request had no effect and leaves no answer: it may be tried again.

Answers about a model are forgotten with it, or some time after it ended, when all of it has long been delivered: what
is said again then finds its place all the same, because epochs, console text and checkpoints have keys of their own.
Registrations have none, so the answers to those stay.
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

KEPT_AFTER_THE_END = timedelta(days=30)
"""Time after the end of a training for which answers about it are kept."""

_MAX_LENGTH = 255


@dataclass(frozen=True)
class Identity:
    """What makes two requests the same: method and path, the client's key, and the sha256 of the body."""

    scope: str
    key: str
    digest: str


def identify(method: str, path: str, key: str, body: bytes) -> Identity:
    """Return the identity of a request that carries a key.

    Raises:
        Invalid: The key is empty or longer than 255 characters.
    """
    if not 0 < len(key) <= _MAX_LENGTH:
        raise Invalid(f"{HEADER} must have 1 to {_MAX_LENGTH} characters")
    return Identity(f"{method} {path}", key, hashlib.sha256(body).hexdigest())


def once(rows: Rows, identity: Identity | None, act: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Act, or return the answer that the same request got before.

    Args:
        rows: The store's tables, in the writing transaction in which `act` has its effect.
        identity: The request's identity, or None for one that is always executed.
        act: Has the effect and returns the answer.

    Raises:
        Invalid: The key was used before with another body.
    """
    if identity is None:
        return act()
    known = rows.answers.get(identity.scope, identity.key)
    if known is None:
        answer = act()
        rows.answers.insert(identity.scope, identity.key, identity.digest, answer, _goes_with(answer))
        return answer
    digest, answer = known
    if digest != identity.digest:
        raise Invalid(f"This {HEADER} was used before with another body: give each request its own")
    return answer


def _goes_with(answer: dict[str, Any]) -> str | None:
    """Return the model that an answer is about, None if it is one to a registration, which names a new run or model."""
    return None if "runId" in answer else answer.get("modelId")
