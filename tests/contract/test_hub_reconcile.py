"""A HUB model whose answer was lost is found again, and not made twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
from support.scripted_server import Reply, Request, Script, ScriptedServer, hub_received, scripted_server

from journal.records import Known
from uploader.errors import Forbidden, ReadRefused, Transient
from uploader.platforms.base import Message, Receipt, RunIdentity
from uploader.platforms.http.transport import Transport
from uploader.platforms.hub import client as hub_client
from uploader.platforms.hub.client import HubPlatform
from uploader.server.running import RunningServer, running

KEY = "hub_contract_key"
WISH = {"config": {"epochs": 3}, "meta": {"name": "yolo11n.yaml", "uploaderRun": "uuid-1"}}
FIRST = Message("a" * 64, "training_started", json.dumps(WISH), RunIdentity("uuid-1", "demo", "t"))
AGAIN = replace(FIRST, attempt=2)
OURS = {"id": "m-7", "meta": WISH["meta"]}


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server(hub_received) as running_server:
        yield running_server


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[RunningServer]:
    """A HUB that knows no idempotency keys, as the real one."""
    with running(tmp_path / "platform", api_key=KEY, idempotency=False) as platform:
        yield platform


def register(url: str, message: Message) -> Receipt:
    client = HubPlatform(url, KEY, Transport())
    try:
        return client.register(message)
    finally:
        client.close()


def models(hub: RunningServer) -> Any:
    return requests.get(f"{hub.url}/v1/models", headers={"x-api-key": KEY}, timeout=60).json()["data"]


def listing(*found: object) -> Script:
    def script(request: Request) -> Reply:
        body = {"success": True, "data": {"results": list(found), "total": len(found)}}
        return Reply(body=body) if request.method == "GET" else hub_received(request)

    return script


def posts(server: ScriptedServer) -> list[Request]:
    return [each for each in server.requests if each.method == "POST"]


def test_a_second_attempt_finds_the_model_of_the_first(hub: RunningServer) -> None:
    first = register(hub.url, FIRST)
    assert register(hub.url, AGAIN).ids == first.ids
    assert models(hub)["total"] == 1


def test_without_the_attempt_before_it_there_would_be_two(hub: RunningServer) -> None:
    assert register(hub.url, FIRST).ids != register(hub.url, FIRST).ids
    assert models(hub)["total"] == 2


def test_a_second_attempt_makes_the_model_when_the_first_never_arrived(hub: RunningServer) -> None:
    other = {**WISH, "meta": {**WISH["meta"], "uploaderRun": "uuid-2"}}  # type: ignore[dict-item]
    theirs = register(hub.url, replace(FIRST, data_json=json.dumps(other), identity=RunIdentity("uuid-2", "demo", "t")))
    assert register(hub.url, AGAIN).ids != theirs.ids
    assert models(hub)["total"] == 2


def test_a_first_attempt_reads_nothing(server: ScriptedServer) -> None:
    register(server.url, FIRST)
    assert [each.method for each in server.requests] == ["POST"]


def test_it_is_found_among_models_that_others_have_made(server: ScriptedServer) -> None:
    server.script = listing({"id": "m-5"}, {"id": "m-6", "meta": None}, "odd", OURS)
    assert register(server.url, AGAIN).ids == {"modelId": "m-7"}
    assert posts(server) == []


@pytest.mark.parametrize(("found", "expected"), [([], "m-1"), ([{"id": "m-5"}, OURS], "m-7")])
def test_a_list_may_come_without_a_wrapping(server: ScriptedServer, found: list[object], expected: str) -> None:
    bare = Reply(body={"success": True, "data": found})
    server.script = lambda request: bare if request.method == "GET" else hub_received(request)
    assert register(server.url, AGAIN).ids == {"modelId": expected}


def test_a_server_that_lists_no_models_is_simply_told_again(server: ScriptedServer) -> None:
    server.script = lambda request: Reply(405) if request.method == "GET" else hub_received(request)
    assert register(server.url, AGAIN).ids == {"modelId": "m-1"}


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Reply(503), Transient),
        (Reply(401), ReadRefused),
        (Reply(403), Forbidden),
        (Reply(404, b"<html>Not Found</html>"), Transient),
        (Reply(body={"success": True, "data": {}}), Transient),
    ],
)
def test_nothing_is_made_while_it_cannot_be_known(
    server: ScriptedServer, reply: Reply, expected: type[Exception]
) -> None:
    server.script = lambda _: reply
    with pytest.raises(expected):
        register(server.url, AGAIN)
    assert posts(server) == []


@pytest.mark.parametrize("status", [401, 403])
def test_a_known_model_that_may_not_be_read_is_gone_on_with(server: ScriptedServer, status: int) -> None:
    server.script = lambda _: Reply(status)
    known = replace(AGAIN, identity=replace(AGAIN.identity, ids={"modelId": "m-7"}))
    assert register(server.url, known).ids == {"modelId": "m-7"}
    client = HubPlatform(server.url, KEY, Transport())
    assert client.ahead(known.identity, Known(frozenset(), 1, 0, is_complete=False)) is None
    client.close()
    assert posts(server) == []


def test_of_a_list_that_is_too_long_the_newer_half_is_read(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_client, "_LONGEST_LIST", 2000)
    models = [OURS, *[{"id": f"m-{n}", "meta": {"name": "x" * 100}} for n in range(49)]]
    server.script = lambda request: listing(*models[: int(request.path.partition("=")[2] or 0)])(request)
    assert register(server.url, AGAIN).ids == {"modelId": "m-7"}
    assert [request.path for request in server.requests] == [f"/v1/models?limit={limit}" for limit in (50, 25, 12)]


RESUMED = replace(FIRST, chunk_id="b" * 64, data_json=json.dumps({**WISH, "resumed": True}))


def known(message: Message, model_id: object) -> Message:
    return replace(message, identity=replace(message.identity, ids={"modelId": model_id}))


def test_a_resumed_training_whose_journal_was_lost_goes_on_with_its_model(hub: RunningServer) -> None:
    first = register(hub.url, FIRST)
    assert register(hub.url, RESUMED).ids == first.ids
    assert models(hub)["total"] == 1


def test_a_resumed_training_of_which_nobody_knows_becomes_a_model(server: ScriptedServer) -> None:
    assert register(server.url, RESUMED).is_new
    assert [post.json() for post in posts(server)] == [WISH]


def test_a_model_that_is_there_is_gone_on_with(hub: RunningServer) -> None:
    first = register(hub.url, FIRST)
    assert first.ids is not None
    assert register(hub.url, known(RESUMED, first.ids["modelId"])).ids == first.ids
    assert models(hub)["total"] == 1


@pytest.mark.parametrize("answer_is_lost", [False, True])
def test_a_model_that_was_deleted_is_made_anew_once(hub: RunningServer, answer_is_lost: bool) -> None:
    first = register(hub.url, FIRST)
    assert first.ids is not None
    path = f"{hub.url}/v1/models/{first.ids['modelId']}"
    requests.delete(path, headers={"x-api-key": KEY}, timeout=60).raise_for_status()
    again = known(RESUMED, first.ids["modelId"])
    second = register(hub.url, again)
    if answer_is_lost:
        assert register(hub.url, replace(again, attempt=2)).ids == second.ids
    assert second.ids != first.ids
    assert models(hub)["total"] == 1


def test_a_model_that_was_not_found_and_is_listed_is_gone_on_with(server: ScriptedServer) -> None:
    gone = Reply(404, {"success": False, "message": "not now"})
    server.script = lambda request: gone if request.path == "/v1/models/m-7" else listing(OURS)(request)
    assert register(server.url, known(RESUMED, "m-7")).ids == {"modelId": "m-7"}
    assert posts(server) == []


def test_a_server_that_shows_no_models_is_believed_to_have_them(server: ScriptedServer) -> None:
    server.script = lambda request: Reply(405) if request.method == "GET" else hub_received(request)
    assert register(server.url, known(RESUMED, "m-7")).ids == {"modelId": "m-7"}


def test_of_a_model_that_was_there_before_the_run_none_is_made(server: ScriptedServer) -> None:
    theirs = replace(FIRST, data_json=json.dumps({"modelId": "m-9"}))
    assert register(server.url, known(theirs, "m-9")).ids == {"modelId": "m-9"}
    assert server.requests == []
