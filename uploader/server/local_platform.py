"""One local platform: its settings, its store and its files, as every endpoint uses them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Literal

from starlette.requests import Request

from uploader.server import public_address
from uploader.server.http_errors import NotFound
from uploader.server.locks import Locks
from uploader.server.signing import Signer
from uploader.server.storage.checkpoint_files import Files
from uploader.server.storage.partial_files import PartialFiles
from uploader.server.storage.store import Store
from uploader.server.times import HEADER, When, to_text, when

Contract = Literal["2025", "2026"]
"""The version of the platform's API to speak: in late 2025 it answered events without ids."""

OWNER = "local"
"""Default owner of a project."""


@dataclass(frozen=True)
class Platform:
    """One local platform.

    Attributes:
        data: Folder of its store and files.
        api_key: Key that clients must present.
        contract: With "2025", events are answered without ids, as the platform did in late 2025.
        idempotency: Whether `Idempotency-Key` is honoured; the real platform ignores it.
        clock: Unix time in seconds.
        owner: Default owner of a project.
        locks: One per transfer that a request is writing to.
        url: Address by which clients reach the server, from `serve --url`, or None.
    """

    data: Path
    store: Store
    files: Files
    partial_files: PartialFiles
    signer: Signer = field(repr=False)
    api_key: str = field(repr=False)
    contract: Contract = "2026"
    idempotency: bool = True
    clock: Callable[[], float] = time.time
    owner: str = OWNER
    locks: Locks = field(default_factory=Locks)
    url: str | None = None

    def now(self) -> str:
        """Return the current time as ISO 8601 in UTC, with milliseconds."""
        return to_text(datetime.fromtimestamp(self.clock(), timezone.utc))

    def when(self, request: Request) -> When:
        """Return when a request arrived, which is now, and when what it tells of happened."""
        return when(request.headers.get(HEADER), self.now())

    def ago(self, time: timedelta) -> str:
        """Return the time `time` before now, in the format of `now`."""
        return to_text(datetime.fromtimestamp(self.clock(), timezone.utc) - time)

    def signed_url(self, request: Request, method: str, path: str) -> str:
        """Return a signed URL, based on the address by which the client reached this server."""
        return self.signer.url(base_url(request), method, path, self.clock())

    def signed_url_until(self, request: Request, method: str, path: str, end: int) -> str:
        """Return such a URL, valid until `end` (Unix seconds)."""
        return self.signer.url_until(base_url(request), method, path, end)


def platform_of(request: Request) -> Platform:
    """Return the platform that serves a request."""
    platform: Platform = request.app.state.platform
    return platform


def current_platform_of(request: Request) -> Platform:
    """Return the platform that serves a request to something that servers of late 2025 did not have.

    Raises:
        NotFound: It speaks the API of late 2025.
    """
    platform = platform_of(request)
    if platform.contract == "2025":
        raise NotFound("No such page")
    return platform


def base_url(request: Request) -> str:
    """Return the address by which the client reached this server."""
    return public_address.address(request, platform_of(request).url)
