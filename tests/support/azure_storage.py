"""Azurite, Microsoft's server for tests, as Azure's object store on loopback.

It and its 370 packages take too long to install for every check of a change, so it is used where a person has installed
it: `npm install azurite azure-storage-blob`, with `node_modules/.bin` on the path.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from support.journals import until
from support.scripted_server import free_port

CONTAINER = "mirrors"
_ACCOUNT = "devstoreaccount1"
# Azurite's documentation names it: it is everybody's.
_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def azurite() -> str | None:
    """Return the server's program, None where it is not installed."""
    return shutil.which("azurite-blob")


@contextmanager
def azure_storage(folder: Path) -> Iterator[Mapping[str, str]]:
    """Run the server with an empty container; yield the environment that a person would set for it."""
    from azure.storage.blob import BlobServiceClient

    program = azurite()
    assert program
    port = free_port()
    url = f"http://127.0.0.1:{port}/{_ACCOUNT}"
    options = ("--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(folder))
    quietly = ("--silent", "--disableTelemetry", "--skipApiVersionCheck")
    with subprocess.Popen([program, *options, *quietly], stdout=subprocess.DEVNULL) as server:
        try:
            deadline = time.monotonic() + 60
            until(lambda: _listens(port) or server.poll() is not None or time.monotonic() > deadline)
            BlobServiceClient(url, credential=_KEY).create_container(CONTAINER)
            yield {
                "AZURE_STORAGE_ACCOUNT_NAME": _ACCOUNT,
                "AZURE_STORAGE_ACCOUNT_KEY": _KEY,
                "AZURE_STORAGE_ENDPOINT": url,
            }
        finally:
            server.kill()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
        return True
    except OSError:
        return False
