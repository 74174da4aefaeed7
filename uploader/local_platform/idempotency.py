"""`Idempotency-Key`: the same request twice has the effect of one, and gets the same answer.

The first answer is stored in the transaction that has the effect, so neither can exist without the other, and of
duplicates that arrive together one acts while the others wait for the store and then find its answer. A refused
request had no effect and leaves no answer: it may be tried again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from uploader.local_platform.errors import Invalid
from uploader.local_platform.store import Rows

HEADER = "Idempotency-Key"

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
    known = rows.answer(identity.scope, identity.key)
    if known is None:
        answer = act()
        rows.insert_answer(identity.scope, identity.key, identity.digest, answer)
        return answer
    digest, answer = known
    if digest != identity.digest:
        raise Invalid(f"This {HEADER} was used before with another body: give each request its own")
    return answer
