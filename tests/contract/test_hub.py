"""The HUB API, as the recording of a real training with upstream 8.3.245 shows it."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from support.scripted_server import Reply, ScriptedServer, hub_received
from support.settings import settings

from journal.records import Known
from uploader.connecting import connect
from uploader.errors import CredentialsRefused, Refused, RunGone, Transient
from uploader.platforms.base import Message, RunIdentity, Upload
from uploader.platforms.hub.client import HubPlatform

MODEL = {"config": {"epochs": 3}, "dataset": {"name": "ds/data.yaml"}, "lineage": {}, "meta": {"name": "yolo11n.yaml"}}
METRICS = {"type": "metrics", "metrics": {"0": '{"train/box_loss": 6.6}', "1": '{"train/box_loss": 4.9}'}}

pytestmark = pytest.mark.parametrize("kind", ["hub"], indirect=True)


@pytest.fixture
def new_model(registration: Message) -> Message:
    return replace(registration, data_json=json.dumps(MODEL))


def test_a_run_becomes_a_model(client: HubPlatform, server: ScriptedServer, new_model: Message) -> None:
    receipt = client.register(new_model)
    [request] = server.requests
    assert (request.method, request.path, request.json()) == ("POST", "/v1/models", MODEL)
    assert request.headers["x-api-key"] == "ul_contract_key"
    assert "authorization" not in request.headers
    assert receipt.ids == {"modelId": "m-1"}


def test_a_resumed_run_makes_no_second_model(
    client: HubPlatform, server: ScriptedServer, new_model: Message, identity: RunIdentity
) -> None:
    assert client.register(replace(new_model, identity=identity)).ids == {"modelId": "m-1"}
    assert [(each.method, each.path) for each in server.requests] == [("GET", "/v1/models/m-1")]


def test_a_run_of_an_existing_model_makes_none(
    client: HubPlatform, server: ScriptedServer, registration: Message
) -> None:
    assert client.register(replace(registration, data_json='{"modelId": "m-9"}')).ids == {"modelId": "m-9"}
    assert server.requests == []


@pytest.mark.parametrize("data", [{}, {"id": None}, {"id": ["m-1"]}, {"id": ""}])
def test_an_answer_without_an_id_is_not_a_registration(
    client: HubPlatform, server: ScriptedServer, new_model: Message, data: object
) -> None:
    server.script = lambda _: Reply(body={"success": True, "data": data})
    with pytest.raises(Transient, match="without the id"):
        client.register(new_model)


def test_metrics_of_many_epochs_are_one_request(client: HubPlatform, server: ScriptedServer, epoch: Message) -> None:
    client.send(replace(epoch, event="metrics", data_json=json.dumps(METRICS)))
    [request] = server.requests
    assert (request.method, request.path, request.json()) == ("POST", "/v1/models/m-1", METRICS)


@pytest.mark.parametrize(
    "form", [{"epoch": 1, "type": "epoch", "isBest": True}, {"epoch": 2, "type": "final", "map": 0.25}]
)
def test_a_checkpoint_is_a_form_with_a_file(
    client: HubPlatform, server: ScriptedServer, checkpoint: Upload, form: dict[str, object]
) -> None:
    name = "best.pt" if "map" in form else "last.pt"
    client.upload(replace(checkpoint, filename=name, form=form), lambda _: None)
    [request] = server.requests
    assert (request.method, request.path) == ("POST", "/v1/models/m-1/upload")
    head = request.body.partition(checkpoint.content.read_bytes()[:64])[0].decode()
    fields = dict(re.findall(r'name="(\w+)"\r\n\r\n(.*?)\r\n', head))
    assert fields == {field: str(value) for field, value in form.items()}
    assert f'name="{name}"; filename="{name}"' in head


@pytest.mark.parametrize("action", ["send", "upload"])
def test_a_model_that_was_deleted_ends_the_run(
    client: HubPlatform, server: ScriptedServer, epoch: Message, checkpoint: Upload, action: str
) -> None:
    server.script = lambda _: Reply(404, {"message": "Model not found"})
    with pytest.raises(RunGone, match=r"Model not found.*`drop "):
        client.send(epoch) if action == "send" else client.upload(checkpoint, lambda _: None)


def test_a_rate_limit_is_reported_with_its_figures(client: HubPlatform, server: ScriptedServer, epoch: Message) -> None:
    limits = {"X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "0", "Retry-After": "17"}
    server.script = lambda _: Reply(429, {"message": "slow down"}, limits)
    with pytest.raises(Transient, match=r"429 \(0 of 100 requests left, again after 17s\): slow down") as caught:
        client.send(epoch)
    assert caught.value.retry_after == 17


def test_what_a_server_says_is_kept_short_and_without_signatures(
    client: HubPlatform, server: ScriptedServer, epoch: Message
) -> None:
    said = "see https://storage/x?signature=s3cret " + "very " * 1000
    server.script = lambda _: Reply(body={"success": True, "message": said})
    receipt = client.send(epoch)
    assert "s3cret" not in repr(receipt)
    assert len(repr(receipt)) < 500


def test_an_answer_that_denies_success_completes_nothing(
    client: HubPlatform, server: ScriptedServer, epoch: Message, new_model: Message
) -> None:
    server.script = lambda _: Reply(body={"success": False, "data": {"id": "m-1"}})
    with pytest.raises(Transient):
        client.send(epoch)
    with pytest.raises(Transient):
        client.register(new_model)


def test_a_heartbeat_keeps_the_agents_id(client: HubPlatform, server: ScriptedServer, identity: RunIdentity) -> None:
    server.script = lambda _: Reply(body={"success": True, "data": {"agentId": 7}})
    first = client.heartbeat(identity, None)
    server.script = hub_received
    assert client.heartbeat(identity, first) == "agent-1"
    assert {each.path for each in server.requests} == {"/v1/agent/heartbeat/models/m-1"}
    assert [each.json()["agentId"] for each in server.requests] == [None, 7]
    assert re.fullmatch(r"python-3\.\d+\.\d+\S*-local", server.requests[0].json()["agent"])


def test_a_key_can_be_checked(client: HubPlatform, server: ScriptedServer) -> None:
    client.authenticate()
    assert (server.requests[0].method, server.requests[0].path) == ("POST", "/v1/auth")
    server.script = lambda _: Reply(401, {"message": "no"})
    with pytest.raises(CredentialsRefused):
        client.authenticate()


def test_a_model_is_read(client: HubPlatform, server: ScriptedServer) -> None:
    server.script = lambda _: Reply(body={"success": True, "data": {"id": "a/b", "status": "trained"}})
    assert client.model("a/b")["status"] == "trained"
    assert server.requests[0].path == "/v1/models/a%2Fb"
    for none in (Reply(404, {"message": "no"}), Reply(body={"success": True, "data": None})):
        server.script = lambda _, none=none: none
        with pytest.raises(Refused):
            client.model("m-2")


def test_the_registry_knows_it_and_asks_for_a_key(client: HubPlatform, server: ScriptedServer) -> None:
    named = settings(hub=server.url)
    connected = connect("hub", server.url, settings(hub=server.url, hub_key="hub_key"), connections=1)
    connected.close()
    assert isinstance(connected, HubPlatform)
    with pytest.raises(CredentialsRefused, match="HUB_API_KEY"):
        connect("hub", server.url, named, connections=1)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(404, {"success": False, "message": "not found"}),
        Reply(404, b"<html>no such path</html>", {"Content-Type": "text/html"}),
        Reply(403, {"message": "no"}),
        Reply(body={"success": True, "data": None}),
        Reply(body={"success": True, "data": [{"map": 0.5}, 3]}),
        Reply(body={"success": False}),
    ],
)
def test_what_hub_does_not_tell_of_a_model_holds_no_run(
    client: HubPlatform, server: ScriptedServer, identity: RunIdentity, reply: Reply
) -> None:
    server.script = lambda _: reply
    assert client.ahead(identity, Known(frozenset(), 1, 0, is_complete=False)) is None
    assert [each.path for each in server.requests] == ["/v1/models/m-1", "/v1/models/m-1/metrics"]


def test_a_hub_that_cannot_be_read_now_is_asked_again(
    client: HubPlatform, server: ScriptedServer, identity: RunIdentity
) -> None:
    server.script = lambda _: Reply(503, {})
    with pytest.raises(Transient):
        client.ahead(identity, Known(frozenset(), 1, 0, is_complete=False))
