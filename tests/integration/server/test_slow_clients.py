"""Clients that send slowly, send nothing, or do not read: none holds a connection forever."""

from __future__ import annotations

import select
import socket
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from support.platform_api import EVENTS, Api
from support.tus_api import BYTES, begun, offset

from uploader.server.limits import MAX_HEAD_BYTES, Limits
from uploader.server.running import RunningServer, running

KEY = "ul_test_key"
SHORT, ENDLESS = 0.3, 3600.0
PATIENT = Limits(head=ENDLESS, body=ENDLESS, answer=ENDLESS, streams=0)


def serving(folder: Path, **limits: Any) -> AbstractContextManager[RunningServer]:
    """Run a server that is patient but for these limits.

    Honest requests that must not time out on a busy machine are for another one, which serves the folder before.
    """
    return running(folder, api_key=KEY, limits=replace(PATIENT, **limits))


def there(server: RunningServer, url: str) -> str:
    """Return the same URL of another server."""
    return urlsplit(url)._replace(netloc=urlsplit(server.url).netloc).geturl()


def connected(url: str, **options: int) -> closing[socket.socket]:
    parts = urlsplit(url)
    assert parts.hostname is not None
    connection = socket.socket()
    connection.settimeout(100)
    for name, value in options.items():
        connection.setsockopt(socket.SOL_SOCKET, getattr(socket, name), value)
    connection.connect((parts.hostname, parts.port))
    return closing(connection)


def request(method: str, url: str, **headers: object) -> bytes:
    parts = urlsplit(url)
    said = {"Host": parts.netloc, "Authorization": f"Bearer {KEY}", **headers}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in said.items())
    return f"{method} {parts.path}?{parts.query} HTTP/1.1\r\n{lines}\r\n".encode()


def rest(connection: socket.socket) -> bytes:
    """Everything until the server ends the connection."""
    received = b""
    try:
        while block := connection.recv(65536):
            received += block
    except ConnectionResetError:
        pass
    return received


def trickle(connection: socket.socket, begins: bytes, byte: bytes = b"") -> bytes:
    """Send what begins and then one byte at a time until the server closes the connection, and return its answer."""
    received = b""
    while True:
        try:
            connection.sendall(begins)
            begins = byte
            if select.select([connection], [], [], 0.01)[0]:
                block = connection.recv(65536)
                received += block
                if not block:
                    return received
        except (ConnectionResetError, BrokenPipeError):
            return received


def after_a_request(url: str) -> closing[socket.socket]:
    """Return a connection on which a request was answered; one that came too late is made again."""
    while True:
        connection = connected(url)
        with suppress(ConnectionResetError, BrokenPipeError):
            connection.thing.sendall(request("GET", url + "/api/account/summary"))
            if connection.thing.recv(65536).startswith(b"HTTP/1.1 200 "):
                return connection
        connection.thing.close()


def test_a_silent_client_is_disconnected(tmp_path: Path) -> None:
    with serving(tmp_path, head=SHORT) as server, connected(server.url) as connection:
        assert rest(connection) == b""


@pytest.mark.parametrize("connect", [connected, after_a_request])
def test_a_head_sent_byte_by_byte_times_out(tmp_path: Path, connect: Any) -> None:
    with serving(tmp_path, head=SHORT) as server, connect(server.url) as connection:
        assert b"HTTP/1.1" not in trickle(connection, b"GET / HTTP/1.1\r\nX: ", b"x")


def test_an_endless_head_is_refused(tmp_path: Path) -> None:
    with serving(tmp_path) as server, connected(server.url) as connection:
        begins = b"GET / HTTP/1.1\r\nX: " + b"x" * MAX_HEAD_BYTES
        assert trickle(connection, begins, b"x" * 1024).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(("path", "byte"), [(EVENTS, b""), (EVENTS, b" "), ("/v1/models", b" ")])
def test_a_body_that_does_not_arrive_times_out(tmp_path: Path, path: str, byte: bytes) -> None:
    with serving(tmp_path, body=SHORT) as server, connected(server.url) as connection:
        answer = trickle(connection, request("POST", server.url + path, Content_Length=10_000_000), byte)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"connection: close" in answer.lower()


def test_a_form_that_does_not_arrive_times_out(tmp_path: Path) -> None:
    with serving(tmp_path) as patient:
        model = Api(patient.url, KEY).request("POST", "/v1/models", json={}).json()["data"]["id"]
    form = {"Content_Length": 10_000_000, "Content_Type": "multipart/form-data; boundary=x"}
    with serving(tmp_path, body=SHORT) as server, connected(server.url) as connection:
        head = request("POST", f"{server.url}/v1/models/{model}/upload", **form)
        assert trickle(connection, head + b"--x\r\n").startswith(b"HTTP/1.1 408 ")


def upload(server: RunningServer, size: int) -> dict[str, Any]:
    api = Api(server.url, KEY)
    run = api.start()
    return api.prepare(modelId=run["modelId"], runId=run["runId"], size=size)


def test_a_file_that_stops_arriving_is_not_kept(tmp_path: Path) -> None:
    with serving(tmp_path) as patient:
        ticket = upload(patient, 10_000_000)
    with serving(tmp_path, body=SHORT) as server, connected(server.url) as connection:
        head = request("PUT", there(server, ticket["uploadUrl"]), Content_Length=10_000_000)
        assert trickle(connection, head + b"x" * 1000).startswith(b"HTTP/1.1 408 ")
    assert [path for path in (tmp_path / "files").rglob("*") if path.is_file()] == []


def test_the_bytes_of_a_chunk_that_stops_arriving_are_kept(tmp_path: Path) -> None:
    with serving(tmp_path) as patient:
        ticket = upload(patient, 10_000_000)
        url = begun(ticket["tus"]["create"], 10_000_000)
    with serving(tmp_path, body=SHORT) as server, connected(server.url) as connection:
        headers = {name.replace("-", "_"): value for name, value in BYTES.items()}
        head = request("PATCH", there(server, url), Content_Length=10_000_000, Upload_Offset=0, **headers)
        assert trickle(connection, head + b"x" * 100_000).startswith(b"HTTP/1.1 408 ")
        assert offset(there(server, url)) == 100_000


def test_a_client_that_does_not_read_its_answer_is_disconnected(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        api = Api(server.url, KEY)
        api.checkpoint(b"x" * 30_000_000, api.start())
        signed = urlsplit(api.get("/api/models/local/demo/train/files")["files"][0]["downloadUrl"])
    with (
        serving(tmp_path, answer=SHORT, connections=2) as server,
        connected(server.url, SO_RCVBUF=4096) as connection,
    ):
        connection.sendall(request("GET", f"{server.url}{signed.path}?{signed.query}"))
        assert connection.recv(12) == b"HTTP/1.1 200"
        while requests.get(server.url, timeout=60).status_code == 503:  # one is there and does not read
            pass
        assert len(rest(connection)) < 30_000_000


def test_others_are_served_meanwhile_and_too_many_get_503(tmp_path: Path) -> None:
    with serving(tmp_path, connections=4) as server:
        waiting = request("POST", server.url + EVENTS, Content_Length=10)
        with connected(server.url) as first, connected(server.url) as second:
            for each in (first, second):
                each.sendall(waiting + b"x")
            with connected(server.url) as third:
                third.sendall(request("GET", server.url + "/api/account/summary"))
                assert third.recv(65536).startswith(b"HTTP/1.1 200 ")
                assert requests.get(server.url, timeout=100).status_code == 503
