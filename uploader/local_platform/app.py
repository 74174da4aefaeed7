"""The application: endpoints, the key check and error answers over one data folder."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from uploader.local_platform import http, readback, storage, webhooks
from uploader.local_platform.auth import RequireKey
from uploader.local_platform.errors import ApiError
from uploader.local_platform.files import Files
from uploader.local_platform.platform import Contract, Platform
from uploader.local_platform.secret_files import read_or_make
from uploader.local_platform.signing import Signer
from uploader.local_platform.store import Store

OWNER = "local"
"""Owner of projects that are named without one."""

_FORGET_UPLOADS_AFTER = timedelta(days=7)


def create_app(
    data: Path,
    *,
    api_key: str,
    contract: Contract = "2026",
    idempotency: bool = True,
    url_lifetime: int = 900,
    clock: Callable[[], float] = time.time,
) -> Starlette:
    """Build the application. It owns the data folder until its lifespan ends: one application for each folder.

    Args:
        data: Folder for everything; made when it does not exist.
        api_key: Key that clients must present.
        contract: "2025" answers events without ids, as the platform did in late 2025.
        idempotency: Whether to honour `Idempotency-Key`; the real platform does not.
        url_lifetime: Seconds for which a signed URL is valid.
        clock: Unix time in seconds.

    Raises:
        StoreVersionError: The folder was written by a newer version.
        OSError: The folder cannot be written.
    """
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    secret = read_or_make(data / "signing-secret", lambda: secrets.token_hex(32))
    platform = Platform(
        data=data,
        store=Store(data / "platform.db"),
        files=Files(data / "files"),
        signer=Signer(secret.encode(), url_lifetime),
        api_key=api_key,
        owner=OWNER,
        contract=contract,
        idempotency=idempotency,
        clock=clock,
    )
    app = Starlette(
        routes=[*webhooks.routes, *storage.routes, *readback.routes],
        middleware=[Middleware(RequireKey, key=api_key)],
        exception_handlers={
            ApiError: http.answer_api_error,
            HTTPException: http.answer_http_error,
            Exception: http.answer_crash,
        },
        lifespan=_lifespan,
    )
    app.state.platform = platform
    return app


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    platform: Platform = app.state.platform
    _remove_leftovers(platform)
    yield
    platform.store.close()


def _remove_leftovers(platform: Platform) -> None:
    """Remove files that nothing refers to. Safe only before the first request: later, one could be arriving."""
    oldest = datetime.now(timezone.utc) - _FORGET_UPLOADS_AFTER
    with platform.store.write() as rows:
        kept = rows.forget_uploads(before=oldest.isoformat())
    platform.files.remove_except(kept)
