"""Epochs that were taken in from results.csv do not replace the same ones on a platform that goes by no order."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from support.results import epoch_end, metrics
from support.scripted_server import Reply, Request, ScriptedServer, received, scripted_server

from uploader.errors import Transient
from uploader.platforms.base import Message, Receipt, RunIdentity
from uploader.platforms.http.transport import Transport
from uploader.platforms.ultralytics.client import UltralyticsPlatform

RUN = RunIdentity("uuid-1", "demo", "t", {"modelId": "m-1", "modelSlug": "t"})


@dataclass
class Model:
    """What the platform says of the model."""

    results: Any = field(default_factory=list)
    status: int = 200
    page: str | None = None

    def answer(self, request: Request) -> Reply:
        if request.method == "POST":
            return received(request)
        if request.path == "/api/account/summary":
            return Reply(body={"username": "me"})
        return Reply(self.status, self.page or {"model": {"id": "m-1", "model": "t", "trainResults": self.results}})


@pytest.fixture
def model() -> Model:
    return Model([epoch_end(0), epoch_end(1)])


@pytest.fixture
def server(model: Model) -> Iterator[ScriptedServer]:
    with scripted_server(model.answer) as running:
        yield running


@pytest.fixture
def client(server: ScriptedServer) -> Iterator[UltralyticsPlatform]:
    platform = UltralyticsPlatform(server.url, "ul_contract_key", Transport())
    yield platform
    platform.close()


def send(client: UltralyticsPlatform, number: int, trial: int = 0, run: RunIdentity = RUN, **more: Any) -> Receipt:
    """Send an epoch as it is taken in, with the digits of the trainer's file."""
    rounded = {name: float(f"{value:.6g}") for name, value in metrics(number, trial).items()}
    data = {"epoch": number, "metrics": rounded, "source": "results.csv", **more}
    return client.send(Message("b" * 64, "epoch_end", json.dumps(data), run))


def sent(server: ScriptedServer) -> list[int]:
    return [body["data"]["epoch"] for body in server.bodies() if body["event"] == "epoch_end"]


def reads(server: ScriptedServer) -> int:
    return sum(request.path.startswith("/api/models/") for request in server.requests)


def test_only_those_that_the_platform_lacks_are_sent(client: UltralyticsPlatform, server: ScriptedServer) -> None:
    receipts = [send(client, epoch) for epoch in range(4)]
    assert sent(server) == [2, 3]
    assert [receipt.answer.get("ignored") for receipt in receipts[:2]] == [
        "the platform has this epoch, with more digits"
    ] * 2
    assert reads(server) == 1


def test_one_that_was_trained_again_replaces_the_first(client: UltralyticsPlatform, server: ScriptedServer) -> None:
    send(client, 1, trial=1)
    assert sent(server) == [1]


@pytest.mark.parametrize("more", [{"source": None}, {"metrics": None}, {"epoch": [1]}])
def test_others_are_sent_unasked(client: UltralyticsPlatform, server: ScriptedServer, more: dict[str, Any]) -> None:
    send(client, 1, **more)
    assert (len(sent(server)), reads(server)) == (1, 0)


def test_without_a_model_nothing_is_asked(client: UltralyticsPlatform, server: ScriptedServer) -> None:
    send(client, 1, run=RunIdentity("uuid-1", "demo", "t"))
    assert (len(sent(server)), reads(server)) == (1, 0)


@pytest.mark.parametrize(
    ("status", "page"), [(404, "<html>"), (404, None), (403, None), (401, None), (200, "<html>")], ids=str
)
def test_a_platform_that_cannot_tell_is_sent_all(
    client: UltralyticsPlatform, server: ScriptedServer, model: Model, status: int, page: str | None
) -> None:
    model.status, model.page = status, page
    send(client, 1)
    assert sent(server) == [1]


@pytest.mark.parametrize("results", [None, "none", [None, {"epoch": "1"}, {"epoch": 7}]])
def test_results_of_another_form_hide_nothing(
    client: UltralyticsPlatform, server: ScriptedServer, model: Model, results: Any
) -> None:
    model.results = results
    send(client, 1)
    assert sent(server) == [1]


def test_one_that_cannot_be_asked_now_is_asked_again(
    client: UltralyticsPlatform, server: ScriptedServer, model: Model
) -> None:
    model.status = 503
    with pytest.raises(Transient):
        send(client, 1)
    model.status = 200
    assert send(client, 1).answer["ignored"]
    assert sent(server) == []
