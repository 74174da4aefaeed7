"""What the endpoints share: the settings of one local platform and the things it owns."""

from __future__ import annotations

import errno
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout
from starlette.requests import Request

from uploader.server import public_address
from uploader.server.locks import Locks
from uploader.server.signing import Signer
from uploader.server.storage.checkpoint_files import Files
from uploader.server.storage.partial_files import PartialFiles
from uploader.server.storage.secret_files import read_or_make
from uploader.server.storage.store import Store

Contract = Literal["2025", "2026"]
"""Which of the platform's contracts is spoken: that of late 2025 answers events without ids."""

OWNER = "local"
"""Owner of projects that are named without one."""

KEY_FILE = "api-key"
"""File in the data folder that keeps a key which was made here."""

_FORGET_FILES_AFTER = timedelta(days=7)


class FolderInUseError(Exception):
    """Another server works on the data folder."""


class FolderUnusableError(OSError):
    """The data folder cannot be made, read or written, or what is in it is damaged. The message says what to do."""


@dataclass(frozen=True)
class Platform:
    """One local platform.

    Attributes:
        data: Folder that holds everything.
        api_key: Key that clients must present.
        contract: "2025" answers events without ids, as the platform did in late 2025.
        idempotency: Whether `Idempotency-Key` is honoured; the real platform ignores it.
        clock: Unix time in seconds.
        owner: Owner of projects that are named without one.
        locks: One for each transfer that a request is writing to.
        url: Address by which clients reach the server, as a person said it; None when nobody did.
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
        """Return the time as ISO 8601 in UTC, to the millisecond."""
        return _iso(datetime.fromtimestamp(self.clock(), timezone.utc))

    def ago(self, time: timedelta) -> str:
        """Return the time that is `time` ago, as `now` does."""
        return _iso(datetime.fromtimestamp(self.clock(), timezone.utc) - time)

    def signed_url(self, request: Request, method: str, path: str) -> str:
        """Return a signed URL of this server, under the name by which the client reached it."""
        return self.signer.url(base_url(request), method, path, self.clock())

    def signed_url_until(self, request: Request, method: str, path: str, end: int) -> str:
        """Return such a URL that is valid until `end` (Unix seconds)."""
        return self.signer.url_until(base_url(request), method, path, end)


@contextmanager
def opened(
    data: Path,
    *,
    api_key: str | None = None,
    contract: Contract = "2026",
    idempotency: bool = True,
    url_lifetime: int = 900,
    clock: Callable[[], float] = time.time,
    url: str | None = None,
) -> Iterator[Platform]:
    """Open a data folder for one server, and close it when the block ends.

    Args:
        data: Folder for everything; made when it does not exist.
        api_key: Key to ask for; by default the one kept in the folder, made on first use.
        contract: See `Platform`.
        idempotency: See `Platform`.
        url_lifetime: Seconds for which a signed URL is valid.
        clock: Unix time in seconds.
        url: Address by which clients reach the server, without a slash at the end; None for that of each request.

    Raises:
        FolderInUseError: Another server has it open.
        StoreVersionError: A newer version wrote it.
        FolderUnusableError: It cannot be used.
    """
    with ExitStack() as stack:
        with _named(data):
            data.mkdir(mode=0o700, parents=True, exist_ok=True)
            stack.enter_context(_locked(data))
            store = stack.enter_context(closing(Store(data / "platform.db")))
            secret = read_or_make(data / "signing-secret", lambda: secrets.token_hex(32))
            platform = Platform(
                data=data,
                store=store,
                files=Files(data / "files"),
                partial_files=PartialFiles(data / "partial"),
                signer=Signer(secret.encode(), url_lifetime),
                api_key=api_key or read_or_make(data / KEY_FILE, lambda: f"ul_{secrets.token_hex(20)}"),
                contract=contract,
                idempotency=idempotency,
                clock=clock,
                url=url,
            )
            _remove_leftovers(platform)
        yield platform


def platform_of(request: Request) -> Platform:
    """Return the platform that a request is for."""
    platform: Platform = request.app.state.platform
    return platform


def base_url(request: Request) -> str:
    """Return the address by which the client reached this server."""
    return public_address.address(request, platform_of(request).url)


@contextmanager
def _named(data: Path) -> Iterator[None]:
    """Name the folder, and the next step, in what goes wrong with it."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        is_damaged = any(word in str(error) for word in ("malformed", "not a database"))
        advice = "put a copy of it back, or move it away" if is_damaged else _advice(None)
        raise FolderUnusableError(f"{data / 'platform.db'} cannot be used ({error}): {advice}") from error
    except OSError as error:
        why = f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
        raise FolderUnusableError(f"{data} cannot be made or written ({why}): {_advice(error.errno)}") from error


def _advice(number: int | None) -> str:
    if number in {errno.ENOSPC, errno.EDQUOT}:
        return "free some space"
    if number == errno.EROFS:
        return "mount its disk for writing"
    if number in {errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.EISDIR}:
        return "see that each part of its path is a folder in which others can be made"
    return "check its disk, owner and permissions"


@contextmanager
def _locked(data: Path) -> Iterator[None]:
    lock = FileLock(data / "server.lock", mode=0o600)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise FolderInUseError(f"{data} is in use by another server: stop that one, or choose another folder") from None
    try:
        yield
    finally:
        lock.release()


def _remove_leftovers(platform: Platform) -> None:
    """Remove files that nothing refers to. Safe only before the first request: later, one could be arriving."""
    with platform.store.write() as rows:
        kept = rows.uploads.forget_files(before=platform.ago(_FORGET_FILES_AFTER))
        rows.transfers.delete_expired(platform.clock())
        unfinished = rows.transfers.unfinished()
    platform.files.remove_except(kept)
    platform.partial_files.remove_except(unfinished)


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
