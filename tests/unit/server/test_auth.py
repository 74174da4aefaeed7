"""How the key of a request is compared."""

from __future__ import annotations

import asyncio
import hmac

import pytest
from starlette.types import Message, Receive, Scope, Send

from uploader.server.api.auth import RequireKey


async def admit(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})


async def nothing() -> Message:
    return {"type": "http.disconnect"}


def status(key: str) -> int:
    """Return how a request with a key is answered, by a server whose key is `right`."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/api/models/me/p",
        "headers": [(b"authorization", f"Bearer {key}".encode())],
    }
    asyncio.run(RequireKey(admit, "right")(scope, nothing, send))
    return int(sent[0]["status"])


def test_keys_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the function that compares can be checked without measuring time."""
    assert (status("right"), status("wrong")) == (200, 401)
    compared = []
    monkeypatch.setattr(hmac, "compare_digest", lambda *both: bool(compared.append(both)))
    assert (status("right"), compared) == (401, [(b"right", b"right")])
