"""A session is delivered after those that it led to, to a platform that goes by no order."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.scripted_server import Reply, Request, ScriptedServer, received, scripted_server

from uploader.errors import Refused
from uploader.platforms.base import Message, RunIdentity, Upload
from uploader.platforms.http.transport import Transport
from uploader.platforms.ultralytics.client import UltralyticsPlatform

RUN = RunIdentity("uuid-1", "demo", "t")
S1 = {"uuid": "s1", "generation": 1, "parent": None}
S4 = {"uuid": "s4", "generation": 4, "parent": "s3", "ancestors": ["s1", "s2", "s3"]}


def told(session: dict[str, Any]) -> dict[str, Any]:
    return {"environment": {"uploaderRun": "uuid-1", "uploaderSession": session}}


MODEL = {"id": "m-1", "model": "t", "status": "completed", **told(S4)}
COPY = {"id": "m-2", "model": "t-copy", "status": "completed", **told({"uuid": "b3", "generation": 3, "parent": "b2"})}


def registration(session: dict[str, Any], identity: RunIdentity) -> Message:
    return Message("a" * 64, "training_started", json.dumps(told(session)), identity)


def answer(request: Request) -> Reply:
    if request.path == "/api/account/summary":
        return Reply(body={"username": "me"})
    one = {"model": MODEL} if request.path.endswith("/t") else {"models": [COPY, MODEL]}
    return Reply(body=one) if request.method == "GET" else received(request)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server(answer) as running:
        yield running


@pytest.fixture
def client(server: ScriptedServer) -> Iterator[UltralyticsPlatform]:
    platform = UltralyticsPlatform(server.url, "ul_contract_key", Transport())
    yield platform
    platform.close()


def posted(server: ScriptedServer) -> list[str]:
    return [json.loads(each.body)["event"] for each in server.requests if each.method == "POST"]


def test_the_first_has_the_models_epochs_only(
    client: UltralyticsPlatform, server: ScriptedServer, tmp_path: Path
) -> None:
    receipt = client.register(registration(S1, replace(RUN, has_gone_on=True)))
    assert receipt.ids is not None
    late = replace(RUN, ids=receipt.ids)
    for event in ("epoch_end", "training_failed", "training_complete"):
        client.send(Message("b" * 64, event, "{}", late))
    with pytest.raises(Refused, match="has gone on with a later session"):
        client.upload(Upload("c" * 64, tmp_path, 1, "0" * 64, "last.pt", late, 1, {}), lambda _: None)
    assert (receipt.ids["modelId"], posted(server)) == ("m-1", ["epoch_end"])


def test_a_training_that_goes_on_afterwards_tells_all(client: UltralyticsPlatform, server: ScriptedServer) -> None:
    late = client.register(registration(S1, replace(RUN, has_gone_on=True))).ids or {}
    after = {"uuid": "s5", "generation": 5, "parent": "s4", "ancestors": ["s1", "s2", "s3", "s4"]}
    newest = client.register(registration(after, replace(RUN, ids=late))).ids or {}
    client.send(Message("b" * 64, "training_complete", "{}", replace(RUN, ids={**late, **newest})))
    assert posted(server) == ["training_started", "training_complete"]


def test_a_first_session_asks_for_nothing_where_none_is_known_to_follow(
    client: UltralyticsPlatform, server: ScriptedServer
) -> None:
    client.register(registration(S1, RUN))
    assert [each.method for each in server.requests] == ["POST"]


def test_a_session_whose_journal_has_the_later_ones_is_none_that_is_late(
    client: UltralyticsPlatform, server: ScriptedServer
) -> None:
    known = replace(RUN, ids={"modelId": "m-1", "modelSlug": "t"}, sessions=frozenset({"s1", "s4"}))
    client.register(registration(S1, known))
    assert posted(server) == ["training_started"]
