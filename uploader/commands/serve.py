"""`uploader serve`: run the local platform until it is stopped."""

from __future__ import annotations

import os
import shlex
import socket
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import platformdirs

from uploader.addresses import base_url
from uploader.commands.acting import Acting
from uploader.commands.folders import Folder
from uploader.commands.help_texts import epilog
from uploader.commands.server_endings import caught_signals, wait_for_end
from uploader.errors import SettingsError
from uploader.platforms.registry import DEFAULT

if TYPE_CHECKING:
    from uploader.server.local_platform import Contract
    from uploader.server.running import RunningServer

_option = partial(click.option, show_envvar=True, show_default=True)


def _default_data() -> Path:
    """Return the per-user data folder; a user without a home folder has to name one."""
    try:
        folder = platformdirs.user_data_path("offline-uploader")
    except RuntimeError:
        folder = Path("~")
    if not folder.is_absolute():
        raise click.UsageError("this user has no home folder; name a folder for the platform's data by --data")
    return folder / "local-platform"


def _base_url(context: click.Context, option: click.Parameter, url: str | None) -> str | None:
    """Return an address in its canonical form."""
    try:
        return url and base_url(url)
    except SettingsError as error:
        raise click.BadParameter(str(error), context, option) from None


_CODES = """
  0  stopped by Ctrl-C or SIGTERM
  1  the server could not start, or failed; the message says why
  2  the arguments cannot be used"""


@click.command(
    cls=Acting, epilog=epilog("serve", "serve --data /srv/platform --host 0.0.0.0 --port 8765", codes=_CODES)
)
@_option(
    "--data",
    type=Folder(),
    default=_default_data,
    show_default="a per-user data folder",
    envvar="UPLOADER_SERVE_DATA",
    help="Folder for everything that is delivered.",
)
@_option("--host", default="127.0.0.1", envvar="UPLOADER_SERVE_HOST", help="Address to listen on.")
@_option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8765,
    envvar="UPLOADER_SERVE_PORT",
    help="Port to listen on; 0 takes a free one.",
)
@_option(
    "--api-key",
    envvar="UPLOADER_SERVE_API_KEY",
    show_default="one made on the first start and kept in the folder",
    help="Key that clients must send. Set it in the environment: arguments are visible to other users.",
)
@_option(
    "--idempotency/--no-idempotency",
    default=True,
    envvar="UPLOADER_SERVE_IDEMPOTENCY",
    help="Honour Idempotency-Key; the real platform does not.",
)
@_option(
    "--contract",
    type=click.Choice(["2025", "2026"]),
    default="2026",
    envvar="UPLOADER_SERVE_CONTRACT",
    help="Version of the platform's API; that of late 2025 answers events without ids.",
)
@_option(
    "--url",
    envvar="UPLOADER_SERVE_URL",
    callback=_base_url,
    help="Address by which clients reach it through a proxy, with its path, as in https://host/yolo; not needed where "
    "the proxy sends X-Forwarded-Prefix.",
)
def serve(
    *,
    data: Path,
    host: str,
    port: int,
    api_key: str | None,
    idempotency: bool,
    contract: Contract,
    url: str | None,
) -> None:
    """Run a local platform that drains deliver to, with pages that show the runs.

    It prints the address and the key to use. Ctrl-C or SIGTERM stops it, once requests in progress are finished.
    """
    _require_no_journal(data)
    try:
        from uploader.server.data_folder import KEY_FILE, FolderInUseError, FolderUnusableError
        from uploader.server.running import running
        from uploader.server.storage.store import StoreVersionError
    except ImportError as error:
        raise click.ClickException(f"{error.name} is missing: pip install 'offline-uploader[serve]'") from error

    new_key = not api_key and not os.path.exists(data / KEY_FILE)  # noqa: PTH110 - raises nothing
    endings = caught_signals()
    options: dict[str, Any] = {"api_key": api_key, "idempotency": idempotency, "contract": contract, "url": url}
    try:
        with running(data, host=host, port=port, on_exit=lambda: endings.put("failure"), **options) as server:
            _announce(server, host, url, new_key=new_key, own_key=bool(api_key))
            wait_for_end(endings)
    except FolderUnusableError as error:
        raise click.ClickException(f"{error}; or name another folder by --data") from error
    except (FolderInUseError, StoreVersionError, OSError) as error:
        raise click.ClickException(str(error)) from error


def _require_no_journal(data: Path) -> None:
    """End the command where the folder is, or is in, one of trainings' own records: each would have the other's files.

    Whoever copied the journal or the mirror would copy the platform's keys with it. A folder that a journal is in may
    be the platform's: the keys lie outside that journal, and the platform touches nothing but its own files.
    """
    real = Path(os.path.realpath(data))
    for folder in (real, *real.parents):
        if what := _records_in(folder):
            found = f"is a {what}" if folder == real else f"is in the {what} {folder}"
            raise click.BadParameter(
                f"{data} {found}; the platform needs a folder of its own, such as {folder.parent / 'platform-data'}",
                param_hint="--data",
            )


def _records_in(folder: Path) -> str | None:
    """Return what of trainings' own records a folder holds: a journal or a mirror; None for neither."""
    from journal.reading.places import MIRROR_NOTE

    for name, what in (("journal.db", "journal"), ("journal.db-wal", "journal"), (MIRROR_NOTE, "mirror")):
        if os.path.lexists(folder / name):
            return what
    return None


def _announce(server: RunningServer, host: str, url: str | None, *, new_key: bool, own_key: bool) -> None:
    from uploader.server.api.auth import is_loopback
    from uploader.server.data_folder import KEY_FILE

    if not (host == "localhost" or is_loopback(host)):
        click.echo(
            "Warning: other machines can reach this server, and the key crosses the network unencrypted.", err=True
        )
    listening = _for_others(server.url)
    address = url or listening
    file = (server.data / KEY_FILE).absolute()
    if new_key:
        click.echo(f"A key was made and is kept in {file}; it is shown this once. To report to this server:")
        _show_exports(address, server.api_key)
    elif not own_key:  # a service's log is read by many, and would hold the key again with each start
        click.echo(f"The key is kept in {file}. To report to this server:")
        _show_exports(address, f'"$(cat {shlex.quote(str(file))})"')
    click.echo(f"Serving on {listening}")
    click.echo(f"Open this in a browser: {address}/")


def _show_exports(address: str, key: str) -> None:
    click.echo(f"  export {DEFAULT.url_variable}={address}")
    click.echo(f"  export {DEFAULT.key_variable}={key}")


def _for_others(url: str) -> str:
    """Return a URL with this machine's name where it says "every address", which would lead each reader to itself."""
    name = f"//{socket.gethostname()}:"
    return url.replace("//0.0.0.0:", name).replace("//[::]:", name)
