"""Our client's uploads in chunks, to servers that this project did not write, on connections that are cut."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from requests.adapters import HTTPAdapter
from support.cutter import Cutter, cutting
from support.node import Node
from support.scripted_server import Reply, Request, free_port, received, scripted_server
from urllib3 import Retry

from uploader.errors import DeliveryError
from uploader.platforms.base import RunIdentity, Upload
from uploader.platforms.http.transport import Transport
from uploader.platforms.ultralytics.client import UltralyticsPlatform
from uploader.platforms.uploads.resumable import chunk_size

SEED = 5
CUTS = 8


@pytest.fixture
def upload(tmp_path: Path) -> Upload:
    content = random.Random(SEED).randbytes(6_000_000)
    path = tmp_path / "blob"
    path.write_bytes(content)
    identity = RunIdentity("uuid", "demo", "train", {"modelId": "m-1", "runId": 7})
    return Upload("c" * 64, path, len(content), hashlib.sha256(content).hexdigest(), "best.pt", identity)


@contextmanager
def client_of(place: Callable[[], dict[str, object]]) -> Iterator[UltralyticsPlatform]:
    """Connect to a platform that sends files to places elsewhere."""

    def script(request: Request) -> Reply:
        reply = received(request)
        return Reply(body={**reply.body, **place()}) if request.path.endswith("/models/upload") else reply

    with scripted_server(script) as platform:
        client = UltralyticsPlatform(platform.url, "key", Transport(answer_seconds=20))
        try:
            yield client
        finally:
            client.close()


def cutting_port(port: int, cut_at: Sequence[int]) -> AbstractContextManager[Cutter]:
    return cutting(f"http://127.0.0.1:{port}", cut_at)


def deliver(client: UltralyticsPlatform, upload: Upload) -> None:
    """Try until the upload is complete."""
    for attempt in range(10):
        with suppress(DeliveryError):
            client.upload(replace(upload, attempt=attempt + 1), lambda _: None)
            return
    raise AssertionError("never complete")


def points(size: int) -> list[int]:
    return random.Random(SEED).sample(range(size), CUTS)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# --- @tus/server


@contextmanager
def tus_server(node: Node, folder: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run the server on a folder; return it and its port."""
    with node.start("tus_server.mjs", folder) as process:
        assert process.stdout is not None
        try:
            yield process, int(process.stdout.readline())
        finally:
            process.kill()


def at_tus_server(cutter: Cutter) -> dict[str, object]:
    return {"tus": {"create": f"{cutter.url}/files"}}


def file_in(folder: Path) -> Path:
    """Return the one file that the server keeps; what it knows of it is beside it."""
    [file] = [path for path in folder.iterdir() if path.suffix != ".json"]
    return file


def test_a_tus_server_gets_the_file_whatever_is_cut(node: Node, upload: Upload, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    with (
        tus_server(node, folder) as (_, port),
        cutting_port(port, points(upload.size)) as cutter,
        client_of(lambda: at_tus_server(cutter)) as client,
    ):
        deliver(client, upload)
    assert cutter.cuts == CUTS
    assert cutter.received <= upload.size + (CUTS + 1) * chunk_size(upload.size)
    assert sha256(file_in(folder)) == upload.sha256


def test_a_tus_server_that_was_killed_goes_on(node: Node, upload: Upload, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    with ExitStack() as stack:
        first, port = stack.enter_context(tus_server(node, folder))
        cutter = stack.enter_context(cutting_port(port, [upload.size // 2]))
        client = stack.enter_context(client_of(lambda: at_tus_server(cutter)))
        cutter.observer = first.kill
        with pytest.raises(DeliveryError):
            client.upload(upload, lambda _: None)
        cutter.upstream = ("127.0.0.1", stack.enter_context(tus_server(node, folder))[1])
        client.upload(upload, lambda _: None)
    assert cutter.received <= upload.size + 2 * chunk_size(upload.size)
    assert sha256(file_in(folder)) == upload.sha256


# --- Google Cloud Storage


@contextmanager
def emulator(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run the emulator with the bucket `models` on a folder; return it and its port, once it listens."""
    port = free_port()
    command = [sys.executable, "-m", "gcp_storage_emulator", "--data-dir", str(folder)]
    command += ["start", "--host", "127.0.0.1", "--port", str(port), "--default-bucket", "models", "--quiet"]
    with subprocess.Popen(command) as process:
        try:
            await_port(port)
            yield process, port
        finally:
            process.kill()


def await_port(port: int) -> None:
    """Wait until something listens."""
    retry = Retry(connect=900, backoff_factor=0.02, backoff_max=0.2)
    with requests.Session() as session:
        session.mount("http://", HTTPAdapter(max_retries=retry))
        session.get(f"http://127.0.0.1:{port}/", timeout=60)


class Bucket:
    """Makes upload sessions as a platform does, and reads what is in the bucket."""

    def __init__(self, cutter: Cutter) -> None:
        self._cutter = cutter
        self.sessions = 0

    def place(self) -> dict[str, object]:
        """Begin a session, past the proxy; its URL leads through it."""
        self.sessions += 1
        url = f"{self._direct}/upload/storage/v1/b/models/o?uploadType=resumable&name=best.pt"
        headers = {"Host": self._cutter.url.removeprefix("http://")}
        return {"uploadUrl": requests.post(url, headers=headers, timeout=60).headers["Location"]}

    def sha256(self) -> str:
        """Return the digest of the object."""
        url = f"{self._direct}/download/storage/v1/b/models/o/best.pt?alt=media"
        return hashlib.sha256(requests.get(url, timeout=60).content).hexdigest()

    @property
    def _direct(self) -> str:
        host, port = self._cutter.upstream
        return f"http://{host}:{port}"


def test_a_session_gets_the_file_whatever_is_cut(upload: Upload, tmp_path: Path) -> None:
    with emulator(tmp_path / "bucket") as (_, port), cutting_port(port, points(upload.size)) as cutter:
        bucket = Bucket(cutter)
        with client_of(bucket.place) as client:
            deliver(client, upload)
        assert bucket.sha256() == upload.sha256
    assert cutter.cuts == CUTS


def test_a_session_of_a_storage_that_was_killed_goes_on(upload: Upload, tmp_path: Path) -> None:
    with ExitStack() as stack:
        first, port = stack.enter_context(emulator(tmp_path / "bucket"))
        cutter = stack.enter_context(cutting_port(port, [upload.size // 2]))
        bucket = Bucket(cutter)
        client = stack.enter_context(client_of(bucket.place))
        cutter.observer = first.kill
        with pytest.raises(DeliveryError):
            client.upload(upload, lambda _: None)
        cutter.upstream = ("127.0.0.1", stack.enter_context(emulator(tmp_path / "bucket"))[1])
        client.upload(upload, lambda _: None)
        assert bucket.sha256() == upload.sha256
    assert bucket.sessions == 1
    assert cutter.received <= upload.size + 2 * chunk_size(upload.size)
