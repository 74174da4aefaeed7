"""What the endpoints share: the settings of one local platform and the things it owns."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

from starlette.requests import Request

from uploader.local_platform.files import Files
from uploader.local_platform.signing import Signer
from uploader.local_platform.store import Store

Contract = Literal["2025", "2026"]
"""Which of the platform's contracts is spoken: that of late 2025 answers events without ids."""


@dataclass(frozen=True)
class Platform:
    """One local platform.

    Attributes:
        data: Folder that holds everything.
        owner: Owner of projects that are named without one.
        idempotency: Whether `Idempotency-Key` is honoured; the real platform ignores it.
        clock: Unix time in seconds.
    """

    data: Path
    store: Store
    files: Files
    signer: Signer
    api_key: str
    owner: str
    contract: Contract
    idempotency: bool
    clock: Callable[[], float] = time.time

    def now(self) -> str:
        """Return the time as ISO 8601 in UTC, to the millisecond."""
        moment = datetime.fromtimestamp(self.clock(), timezone.utc)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def signed_url(self, request: Request, method: str, path: str) -> str:
        """Return a signed URL of this server, under the name by which the client reached it."""
        return self.signer.url(base_url(request), method, path, self.clock())


def platform_of(request: Request) -> Platform:
    """Return the platform that a request is for."""
    platform: Platform = request.app.state.platform
    return platform


def base_url(request: Request) -> str:
    """Return scheme, host and port by which the client reached this server."""
    return str(request.base_url).rstrip("/")
