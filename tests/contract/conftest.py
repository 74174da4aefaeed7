"""What the contract suite needs to know of each platform's client. A new client adds itself to `CLIENTS`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.scripted_server import Request, Script, ScriptedServer, hub_received, received, scripted_server

from uploader.platforms.base import Identity, Message, Platform, Upload
from uploader.platforms.http.transport import Transport
from uploader.platforms.hub.client import HubPlatform
from uploader.platforms.ultralytics.client import UltralyticsPlatform

KEY = "ul_contract_key"
CONTENT = bytes(range(256)) * 4096  # one megabyte


@dataclass(frozen=True)
class Client:
    """How to make a client of one platform, and what it calls things.

    Attributes:
        connect: Base URL, the longest silence in seconds, and options of the transport, to a client.
        ids: A registered run's ids.
        answers: What a server of that platform answers when all is well.
        data_of: A message's data, out of the request that carries it.
        file_of: An upload's bytes, out of the request that carries them; None for any other request.
    """

    connect: Callable[..., Platform]
    ids: dict[str, object]
    answers: Script
    data_of: Callable[[Request], Any]
    file_of: Callable[[Request], bytes | None]


def file_in_form(request: Request) -> bytes | None:
    """Return the file of a multipart form: what is between its headers and the last boundary."""
    kind, _, boundary = request.headers.get("content-type", "").partition("; boundary=")
    if kind != "multipart/form-data":
        return None
    last = request.body.removesuffix(f"\r\n--{boundary}--\r\n".encode()).rpartition(f"--{boundary}\r\n".encode())[2]
    return last.partition(b"\r\n\r\n")[2]


def ultralytics(url: str, patience: float = 30.0, **options: Any) -> Platform:
    return UltralyticsPlatform(url, KEY, Transport(answer_seconds=patience, **options))


def hub(url: str, patience: float = 30.0, **options: Any) -> Platform:
    return HubPlatform(url, KEY, Transport(answer_seconds=patience, **options), upload_seconds=patience)


CLIENTS = {
    "ultralytics": Client(
        ultralytics,
        {"modelId": "m-1", "runId": 7},
        received,
        lambda request: request.json()["data"],
        lambda request: request.body if request.method == "PUT" else None,
    ),
    "hub": Client(
        hub,
        {"modelId": "m-1"},
        hub_received,
        lambda request: request.json(),
        file_in_form,
    ),
}


@pytest.fixture(params=list(CLIENTS))
def kind(request: pytest.FixtureRequest) -> Client:
    return CLIENTS[request.param]


@pytest.fixture
def server(kind: Client) -> Iterator[ScriptedServer]:
    with scripted_server(kind.answers) as running:
        yield running


@pytest.fixture
def connect(kind: Client) -> Iterator[Callable[..., Platform]]:
    """Make clients that are closed at the end."""
    made: list[Platform] = []

    def make(url: str, *patience: float) -> Platform:
        made.append(kind.connect(url, *patience))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def client(connect: Callable[[str], Platform], server: ScriptedServer) -> Platform:
    return connect(server.url)


@pytest.fixture
def registration() -> Message:
    return message("training_started", '{"epochs": 3}', Identity("uuid-1", "demo", "train"))


@pytest.fixture
def identity(kind: Client) -> Identity:
    return Identity("uuid-1", "demo", "train", kind.ids)


@pytest.fixture
def epoch(identity: Identity) -> Message:
    return message("epoch_end", '{"epoch": 0, "metrics": {"loss": 0.5}}', identity)


@pytest.fixture
def checkpoint(identity: Identity, tmp_path: Path) -> Upload:
    path = tmp_path / "blob"
    path.write_bytes(CONTENT)
    digest = hashlib.sha256(CONTENT).hexdigest()
    form = {"epoch": 2, "type": "final", "map": 0.5}
    return Upload("c" * 64, path, len(CONTENT), digest, "best.pt", identity, form=form)


def message(event: str, data_json: str, identity: Identity) -> Message:
    return Message(hashlib.sha256(event.encode()).hexdigest(), event, data_json, identity)
