"""SeaweedFS as a real S3 server on loopback, in a folder of its own."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import requests
from support.journals import until

BUCKET, ACCESS_KEY, SECRET_KEY = "mirrors", "a-key", "a-secret-key"
_RIGHTS = ("Read", "Write", "List", "Tagging")
IDENTITIES = [
    {
        "name": "me",
        "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
        "actions": [f"{right}:{BUCKET}" for right in _RIGHTS],
    },
    {"name": "anonymous", "actions": ["Admin", *_RIGHTS]},
]


def weed() -> str | None:
    """Return the server's program, None where it is not installed."""
    return shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")


@contextmanager
def object_storage(folder: Path) -> Iterator[Mapping[str, str]]:
    """Run the server with an empty bucket; yield the environment that a person would set for it."""
    for attempt in range(5):  # its ports may be taken by others between their choice and its start
        with started(folder / str(attempt)) as url:
            if url:
                yield {
                    "AWS_ENDPOINT_URL": url,
                    "AWS_ACCESS_KEY_ID": ACCESS_KEY,
                    "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
                    "AWS_REGION": "us-east-1",
                }
                return
    raise AssertionError("the server did not start")


@contextmanager
def started(folder: Path) -> Iterator[str | None]:
    """Start the server; yield its address, or None if it has not started."""
    program = weed()
    assert program
    folder.mkdir(parents=True)
    (folder / "ids.json").write_text(json.dumps({"identities": IDENTITIES}))
    s3, master, volume, filer = free_ports(4)
    ports = (f"-s3.port={s3}", f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}")
    limits = ("-master.volumeSizeLimitMB=64", "-volume.max=20", "-s3", f"-s3.config={folder / 'ids.json'}")
    # Catalogs listen on fixed ports, which only one server of a machine can have.
    off = ("-s3.port.iceberg=0", "-s3.port.lance=0")
    command = [program, "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={folder}", *ports, *limits, *off]
    url, deadline = f"http://127.0.0.1:{s3}", time.monotonic() + 30
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as server:
        try:
            until(lambda: is_made(f"{url}/{BUCKET}") or server.poll() is not None or time.monotonic() > deadline)
            yield url if is_made(f"{url}/{BUCKET}") else None
        finally:
            server.kill()


def is_made(bucket: str) -> bool:
    """Try to make a bucket; return whether it is there and takes objects."""
    try:
        requests.put(bucket, timeout=100)
        return requests.put(f"{bucket}/ready", b"1", timeout=100).ok
    except requests.RequestException:
        return False


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on, nor 10,000 above, where the server's own protocol is."""
    with ExitStack() as stack:
        found: list[int] = []
        while len(found) < count:
            listener = stack.enter_context(socket.socket())
            listener.bind(("127.0.0.1", 0))
            if (port := listener.getsockname()[1]) < 55_000:
                found.append(port)
    return found
