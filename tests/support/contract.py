"""What the contract suite needs to know of a platform's client."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from support.scripted_server import Request, Script

from uploader.platforms.base import Platform
from uploader.platforms.http.transport import Transport
from uploader.platforms.registry import imported
from uploader.platforms.spec import PlatformSpec

KEY = "ul_contract_key"


@dataclass(frozen=True)
class Client:
    """How to make a client of one platform, and what it calls things.

    Attributes:
        connect: Base URL, the longest silence in seconds, and options of the transport, to a client.
        ids: A registered run's ids.
        answers: What a server of that platform answers when all is well.
        data_of: A message's data, out of the request that carries it.
        file_of: An upload's bytes, out of the request that carries them; None for any other request.
        reads_lists: Whether it reads the platform before it repeats a registration.
    """

    connect: Callable[..., Platform]
    ids: dict[str, object]
    answers: Script
    data_of: Callable[[Request], Any]
    file_of: Callable[[Request], bytes | None]
    reads_lists: bool = True


def connects(spec: PlatformSpec) -> Callable[..., Platform]:
    """Return what makes clients as the drain does."""

    def connect(url: str, timeout: float = 30.0, **options: Any) -> Platform:
        client: Platform = imported(spec.client)(url, KEY, Transport(answer_seconds=timeout, **options), {})
        return client

    return connect
