"""The contract suite runs for each platform of the registry, by what `support/contracts/NAME.py` says of its client."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest
from support.contract import Client
from support.scripted_server import ScriptedServer, scripted_server

from uploader.platforms.base import Message, Platform, RunIdentity, Upload
from uploader.platforms.registry import NAMES

CONTENT = bytes(range(256)) * 4096  # one megabyte
CLIENTS: dict[str, Client] = {name: import_module(f"support.contracts.{name}").CLIENT for name in NAMES}


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

    def make(url: str, *timeout: float) -> Platform:
        made.append(kind.connect(url, *timeout))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def client(connect: Callable[[str], Platform], server: ScriptedServer) -> Platform:
    return connect(server.url)


@pytest.fixture
def registration() -> Message:
    return message("training_started", '{"epochs": 3}', RunIdentity("uuid-1", "demo", "train"))


@pytest.fixture
def identity(kind: Client) -> RunIdentity:
    return RunIdentity("uuid-1", "demo", "train", kind.ids)


@pytest.fixture
def epoch(identity: RunIdentity) -> Message:
    return message("epoch_end", '{"epoch": 0, "metrics": {"loss": 0.5}}', identity)


@pytest.fixture
def checkpoint(identity: RunIdentity, tmp_path: Path) -> Upload:
    path = tmp_path / "blob"
    path.write_bytes(CONTENT)
    digest = hashlib.sha256(CONTENT).hexdigest()
    form = {"epoch": 2, "type": "final", "map": 0.5}
    return Upload("c" * 64, path, len(CONTENT), digest, "best.pt", identity, form=form)


def message(event: str, data_json: str, identity: RunIdentity) -> Message:
    return Message(hashlib.sha256(event.encode()).hexdigest(), event, data_json, identity)
