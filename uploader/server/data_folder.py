"""The data folder of one local platform: created, locked, opened for one server, and cleaned of leftovers."""

from __future__ import annotations

import errno
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from pathlib import Path

from filelock import FileLock, Timeout

from uploader.server.local_platform import Contract, Platform
from uploader.server.signing import Signer
from uploader.server.storage.checkpoint_files import Files
from uploader.server.storage.partial_files import PartialFiles
from uploader.server.storage.secret_files import read_or_create
from uploader.server.storage.store import Store

KEY_FILE = "api-key"
"""File in the data folder that stores a generated key."""

_FORGET_FILES_AFTER = timedelta(days=7)


class FolderInUseError(Exception):
    """Another server is using the data folder."""


class FolderUnusableError(OSError):
    """The data folder cannot be created, read or written, or its contents are damaged. The message says what to do."""


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
        data: The folder; created if it does not exist.
        api_key: Key that clients must present; by default the one stored in the folder, generated on first use.
        contract: See `Platform`.
        idempotency: See `Platform`.
        url_lifetime: Seconds for which a signed URL is valid.
        clock: Unix time in seconds.
        url: Address by which clients reach the server, without a trailing slash; None to use that of each request.

    Raises:
        FolderInUseError: Another server is using the folder.
        StoreVersionError: The folder was written by a newer version.
        FolderUnusableError: The folder cannot be used.
    """
    with ExitStack() as stack:
        with _explained_errors(data):
            data.mkdir(mode=0o700, parents=True, exist_ok=True)
            stack.enter_context(_locked(data))
            store = stack.enter_context(closing(Store(data / "platform.db")))
            secret = read_or_create(data / "signing-secret", lambda: secrets.token_hex(32))
            platform = Platform(
                data=data,
                store=store,
                files=Files(data / "files"),
                partial_files=PartialFiles(data / "partial"),
                signer=Signer(secret.encode(), url_lifetime),
                api_key=api_key or read_or_create(data / KEY_FILE, lambda: f"ul_{secrets.token_hex(20)}"),
                contract=contract,
                idempotency=idempotency,
                clock=clock,
                url=url,
            )
            _remove_leftovers(platform)
        yield platform


@contextmanager
def _explained_errors(data: Path) -> Iterator[None]:
    """Turn errors into ones that name the folder, the cause and the next step."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        is_damaged = any(word in str(error) for word in ("malformed", "not a database"))
        advice = "restore a backup of it, or move it away" if is_damaged else _advice(None)
        raise FolderUnusableError(f"{data / 'platform.db'} cannot be used ({error}): {advice}") from error
    except OSError as error:
        why = f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
        raise FolderUnusableError(f"{data} cannot be created or written ({why}): {_advice(error.errno)}") from error


def _advice(number: int | None) -> str:
    if number in {errno.ENOSPC, errno.EDQUOT}:
        return "free some space"
    if number == errno.EROFS:
        return "remount its disk read-write"
    if number in {errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.EISDIR}:
        return "make sure that each part of its path is a folder that folders can be created in"
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
    """Remove files that nothing refers to. Safe only before the first request, because later a file may be arriving."""
    with platform.store.write() as rows:
        kept = rows.uploads.forget_files(before=platform.ago(_FORGET_FILES_AFTER))
        rows.transfers.delete_expired(platform.clock())
        unfinished = rows.transfers.unfinished()
    platform.files.remove_except(kept)
    platform.partial_files.remove_except(unfinished)
