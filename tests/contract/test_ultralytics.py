"""The Ultralytics Platform's contract, as the recording of a real training shows it."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace

import pytest
from support.scripted_server import Reply, Request, ScriptedServer, in_order, received

from uploader.errors import DeliveryError, Forbidden, Foreign, Refused, RunGone, Transient
from uploader.platforms.base import Message, Platform, RunIdentity, Upload

METRICS = "/api/webhooks/training/metrics"
UPLOAD = "/api/webhooks/models/upload"
GONE = Reply(404, {"error": "no such model"})
HTML = {"Content-Type": "text/html; charset=UTF-8"}

pytestmark = pytest.mark.parametrize("kind", ["ultralytics"], indirect=True)


@pytest.fixture
def resumed(registration: Message, identity: RunIdentity) -> Message:
    return replace(registration, identity=identity)


@pytest.fixture
def complete(epoch: Message) -> Message:
    data = {"results": {"bestEpoch": 2}, "classNames": ["box"], "plots": []}
    return replace(epoch, event="training_complete", data_json=json.dumps(data))


def with_ids(message: Message, **ids: object) -> Message:
    return replace(message, identity=replace(message.identity, ids={**message.identity.ids, **ids}))


def test_a_completion_that_names_another_file_has_another_key(
    client: Platform, server: ScriptedServer, complete: Message
) -> None:
    """A checkpoint may arrive, or be given up, between two attempts; under the same key that would be refused."""
    for message in (complete, complete, with_ids(complete, modelPath="models/m-1/best.pt", modelSize=5)):
        client.send(message)
    first, again, other = (request.headers["idempotency-key"] for request in server.requests)
    assert first == again != other


# --- registration


def test_a_new_run_names_project_and_name(client: Platform, server: ScriptedServer, registration: Message) -> None:
    receipt = client.register(registration)
    [request] = server.requests
    assert (request.method, request.path) == ("POST", METRICS)
    assert request.headers["authorization"] == "Bearer ul_contract_key"
    assert request.headers["content-type"] == "application/json"
    assert request.json() == {
        "event": "training_started",
        "project": "demo",
        "name": "train",
        "data": {"epochs": 3},
    }
    assert receipt.ids == {"modelId": "m-1", "runId": 7}


@pytest.mark.parametrize("odd", [None, "", ["m-1"], {"id": "m-1"}, True])
def test_a_registration_without_usable_ids_is_none(
    client: Platform, server: ScriptedServer, registration: Message, odd: object
) -> None:
    for ids in ({"modelId": odd, "runId": 7}, {"modelId": "m-1", "runId": odd}, {"runId": 7}):
        server.script = lambda _, ids=ids: Reply(body={"received": True, "modelSlug": "train", **ids})
        with pytest.raises(Transient, match="registration"):
            client.register(registration)


@pytest.mark.parametrize("odd", [{"event": "epoch_end"}, {"modelId": "m-2", "runId": 9}])
def test_an_answer_about_something_else_registers_nothing(
    client: Platform, server: ScriptedServer, resumed: Message, odd: dict[str, object]
) -> None:
    server.script = lambda _: Reply(body={"received": True, "modelId": "m-1", "runId": 8, **odd})
    with pytest.raises(Transient, match="another"):
        client.register(resumed)


def test_a_run_that_may_not_go_to_its_project_is_told_what_to_do(
    client: Platform, server: ScriptedServer, registration: Message
) -> None:
    server.script = lambda _: Reply(403, {"error": "no access"})
    with pytest.raises(Forbidden, match=r"no access.*may not write to the project 'demo'.*`retry`"):
        client.register(registration)


def test_a_resumed_run_names_its_model(client: Platform, server: ScriptedServer, resumed: Message) -> None:
    client.register(resumed)
    assert server.bodies() == [{"event": "training_started", "modelId": "m-1", "data": {"epochs": 3}}]


@pytest.mark.parametrize("ended", [GONE, Reply(body={"received": True, "modelId": "m-1", "cancelled": True})])
def test_a_resumed_run_whose_model_ended_becomes_a_new_model(
    client: Platform, server: ScriptedServer, resumed: Message, ended: Reply
) -> None:
    new = Reply(body={"received": True, "modelId": "m-2", "runId": 9})
    server.script = in_order(ended, new)
    of_the_first = {"modelSlug": "t", "modelUrl": "https://h/t", "modelPath": "models/m-1/best.pt", "modelSize": 5}
    receipt = client.register(with_ids(resumed, **of_the_first))
    first, second = server.requests
    assert second.json() == {"event": "training_started", "project": "demo", "name": "train", "data": {"epochs": 3}}
    assert first.headers["idempotency-key"] != second.headers["idempotency-key"]
    assert receipt.ids == {"modelId": "m-2", "runId": 9, **dict.fromkeys(of_the_first)}
    assert receipt.signals == ()


def test_a_refused_new_registration_does_not_blame_a_deleted_model(
    client: Platform, server: ScriptedServer, resumed: Message
) -> None:
    server.script = lambda _: GONE
    with pytest.raises(Refused) as caught:
        client.register(resumed)
    assert not isinstance(caught.value, RunGone)


def test_a_new_run_can_be_cancelled_at_once(client: Platform, server: ScriptedServer, registration: Message) -> None:
    answer = {"received": True, "modelId": "m-1", "runId": 7, "cancelled": True, "reason": "by hand"}
    server.script = lambda _: Reply(body=answer)
    receipt = client.register(registration)
    assert receipt.signals == (("cancelled", "by hand"),)
    assert len(server.requests) == 1


# --- events


def test_events_name_the_model(client: Platform, server: ScriptedServer, epoch: Message) -> None:
    client.send(epoch)
    data = {"epoch": 0, "metrics": {"loss": 0.5}}
    assert server.bodies() == [{"event": "epoch_end", "modelId": "m-1", "data": data}]


def test_where_the_model_is_is_a_signal(client: Platform, server: ScriptedServer, registration: Message) -> None:
    url = "https://example.com/runs/local/demo/t1"
    answer = {"received": True, "modelId": "m-1", "runId": 7, "modelUrl": url, "cancelled": True, "reason": "by hand"}
    server.script = lambda _: Reply(body=answer)
    assert client.register(registration).signals == (("model", url), ("cancelled", "by hand"))


def test_a_cancelled_answer_is_a_signal(client: Platform, server: ScriptedServer, epoch: Message) -> None:
    server.script = lambda _: Reply(body={"received": True, "cancelled": True, "action": "training_terminated"})
    assert client.send(epoch).signals == (("cancelled", "training_terminated"),)


def test_completion_names_the_uploaded_file_and_the_run(
    client: Platform, server: ScriptedServer, complete: Message
) -> None:
    client.send(with_ids(complete, modelPath="models/m-1/best.pt", modelSize=5412186))
    assert server.bodies()[0]["data"] == {
        "results": {"bestEpoch": 2, "modelPath": "models/m-1/best.pt", "modelSize": 5412186},
        "classNames": ["box"],
        "plots": [],
        "runId": 7,
    }


def test_completion_without_an_upload_names_no_file(
    client: Platform, server: ScriptedServer, complete: Message
) -> None:
    client.send(with_ids(complete, modelPath=None, modelSize=None))
    assert server.bodies()[0]["data"]["results"] == {"bestEpoch": 2}


def test_a_deleted_model_is_told_from_other_refusals(
    client: Platform, server: ScriptedServer, epoch: Message, checkpoint: Upload
) -> None:
    server.script = lambda _: GONE
    with pytest.raises(RunGone, match="`drop "):
        client.send(epoch)
    with pytest.raises(RunGone, match="`drop "):
        client.upload(checkpoint, lambda _: None)


def test_receipts_keep_only_what_is_known_to_be_harmless(
    client: Platform, server: ScriptedServer, registration: Message, checkpoint: Upload
) -> None:
    def script(request: Request) -> Reply:
        reply = received(request)
        return replace(reply, body={**reply.body, "session": "s3cret"}) if request.method == "POST" else reply

    server.script = script
    for receipt in (client.register(registration), client.upload(checkpoint, lambda _: None)):
        assert receipt.answer["received"] is True
        assert "s3cret" not in repr(receipt)


@pytest.mark.parametrize("field", ["warning", "reason", "action", "uploadPath", "modelSlug"])
def test_what_a_server_says_is_kept_short_and_without_signatures(
    client: Platform, server: ScriptedServer, registration: Message, checkpoint: Upload, field: str
) -> None:
    said = "see https://storage/x?signature=s3cret " + "very " * 1000

    def script(request: Request) -> Reply:
        reply = received(request)
        odd = {"cancelled": True, field: said}
        return replace(reply, body={**reply.body, **odd}) if request.method == "POST" else reply

    server.script = script
    for receipt in (client.register(registration), client.upload(checkpoint, lambda _: None)):
        assert "s3cret" not in repr(receipt)
        assert len(repr(receipt)) < 1000


# --- uploads


def test_an_upload_asks_puts_and_promotes(client: Platform, server: ScriptedServer, checkpoint: Upload) -> None:
    receipt = client.upload(checkpoint, lambda _: None)
    ask, put, promote = server.requests
    assert ask.path == UPLOAD
    file = {"filename": "best.pt", "size": checkpoint.size, "sha256": checkpoint.sha256}
    assert ask.json() == {**file, "modelId": "m-1", "runId": 7}
    assert "idempotency-key" not in ask.headers
    assert put.path == "/storage/best.pt?signature=s3cret"
    assert put.headers["content-type"] == "application/octet-stream"
    assert promote.path == METRICS
    assert promote.json() == {
        "event": "checkpoint_saved",
        "modelId": "m-1",
        "data": {"runId": 7, "modelPath": "models/best.pt", "uploadPath": "staging/1"},
    }
    assert receipt.ids == {"modelPath": "models/best.pt", "modelSize": checkpoint.size}
    assert receipt.answer["sha256"] == checkpoint.sha256


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_an_expired_url_is_replaced_once(
    client: Platform, server: ScriptedServer, checkpoint: Upload, status: int
) -> None:
    expired = [Reply(status, b"expired")]

    def script(request: Request) -> Reply:
        return expired.pop() if request.method == "PUT" and expired else received(request)

    server.script = script
    client.upload(checkpoint, lambda _: None)
    assert [each.path.partition("?")[0] for each in server.requests] == [
        UPLOAD,
        "/storage/best.pt",
        UPLOAD,
        "/storage/best.pt",
        METRICS,
    ]


def test_two_refused_urls_are_not_our_keys_fault(client: Platform, server: ScriptedServer, checkpoint: Upload) -> None:
    server.script = lambda request: Reply(403, b"") if request.method == "PUT" else received(request)
    with pytest.raises(Transient):
        client.upload(checkpoint, lambda _: None)
    assert sum(each.method == "PUT" for each in server.requests) == 2


DENIED = Reply(403, b"<Error><Code>AccessDenied</Code><Message>no right to write</Message></Error>")


@pytest.mark.parametrize(("first", "attempts"), [(1, 3), (8, 1)])
def test_a_storage_that_refuses_every_new_url_forbids_the_file(
    client: Platform, server: ScriptedServer, checkpoint: Upload, first: int, attempts: int
) -> None:
    server.script = lambda request: DENIED if request.method == "PUT" else received(request)
    failures: list[DeliveryError] = []
    for number in range(attempts):
        with pytest.raises(DeliveryError) as caught:
            client.upload(replace(checkpoint, attempt=first + number), lambda _: None)
        failures.append(caught.value)
    assert [isinstance(each, Refused) for each in failures] == [False] * (attempts - 1) + [True]
    assert all("AccessDenied: no right to write" in str(each) for each in failures)
    assert "sent without it" in str(failures[-1])


@pytest.mark.parametrize("reply", [Reply(411, b""), Reply(412, DENIED.body), Reply(415, {"error": "no"})])
def test_what_a_storage_says_of_the_file_itself_is_final(
    client: Platform, server: ScriptedServer, checkpoint: Upload, reply: Reply
) -> None:
    server.script = lambda request: reply if request.method == "PUT" else received(request)
    with pytest.raises(Refused):
        client.upload(checkpoint, lambda _: None)


def test_a_file_that_is_too_large_for_a_storage_holds_nothing_up(
    client: Platform, server: ScriptedServer, checkpoint: Upload
) -> None:
    said = Reply(413, b"<Error><Code>EntityTooLarge</Code></Error>")
    server.script = lambda request: said if request.method == "PUT" else received(request)
    for attempt in (1, 2):
        with pytest.raises(Transient):
            client.upload(replace(checkpoint, attempt=attempt), lambda _: None)
    with pytest.raises(Refused, match=r"EntityTooLarge.* Have its limit on the size of a file raised"):
        client.upload(replace(checkpoint, attempt=3), lambda _: None)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 410, 411, 413, 414, 415, 422, 451])
def test_a_page_in_the_way_of_a_storage_forbids_nothing(
    client: Platform, server: ScriptedServer, checkpoint: Upload, status: int
) -> None:
    page = Reply(status, b"<html>Sign in</html>")
    server.script = lambda request: page if request.method == "PUT" else received(request)
    for attempt in range(1, 10):
        with pytest.raises(Foreign):
            client.upload(replace(checkpoint, attempt=attempt), lambda _: None)


@pytest.mark.parametrize("page", [Reply(body=b"<!DOCTYPE html>Sign in"), Reply(body=b"Hi", headers=HTML)])
@pytest.mark.parametrize("ids", [{}, {"modelId": "m-1", "runId": 7}])
def test_a_sign_in_page_for_a_file_is_no_storage(
    client: Platform, server: ScriptedServer, checkpoint: Upload, page: Reply, ids: dict[str, object]
) -> None:
    server.script = lambda request: page if request.method == "PUT" else received(request)
    upload = replace(checkpoint, identity=replace(checkpoint.identity, ids=ids))
    with pytest.raises(Transient, match="sign-in page"):
        client.upload(upload, lambda _: None)
    assert [each.path for each in server.requests if each.path == METRICS] == []


def test_an_empty_answer_of_a_storage_may_be_called_a_page(
    client: Platform, server: ScriptedServer, checkpoint: Upload
) -> None:
    stored = Reply(body=b"", headers=HTML)  # as Google's storage does
    server.script = lambda request: stored if request.method == "PUT" else received(request)
    client.upload(checkpoint, lambda _: None)


def test_a_storage_that_is_down_does_not_make_the_platform_unreachable(
    client: Platform, server: ScriptedServer, checkpoint: Upload
) -> None:
    place = {"uploadUrl": "http://127.0.0.1:1/x?signature=s3cret", "gcsPath": "models/best.pt"}
    server.script = lambda _: Reply(body=place)
    with pytest.raises(Transient, match="the storage of 127"):
        client.upload(checkpoint, lambda _: None)


@pytest.mark.parametrize("url", ["", "no url", "ftp://host/x", "http://", 7, None])
def test_an_unusable_upload_url_is_no_success(
    client: Platform, server: ScriptedServer, checkpoint: Upload, url: object
) -> None:
    server.script = lambda _: Reply(body={"uploadUrl": url, "gcsPath": "x"})
    with pytest.raises(Transient):
        client.upload(checkpoint, lambda _: None)


@pytest.mark.parametrize(
    ("stored", "difference"),
    [
        (Reply(body=b"", headers={"x-goog-stored-content-length": "17"}), "17 of 1048576 bytes"),
        (Reply(body=b"", headers={"x-goog-hash": "crc32c=AAAAAA==,md5=1B2M2Y8AsgTpgAmY7PhCfg=="}), "other bytes"),
        (Reply(body={"size": 17}), "17 of 1048576 bytes"),
        (Reply(body={"size": 1048576, "sha256": "0" * 64}), "other bytes"),
    ],
)
def test_a_storage_that_kept_something_else_is_no_success(
    client: Platform, server: ScriptedServer, checkpoint: Upload, stored: Reply, difference: str
) -> None:
    server.script = lambda request: stored if request.method == "PUT" else received(request)
    with pytest.raises(Transient, match=f"stored {difference}"):
        client.upload(checkpoint, lambda _: None)


def test_a_storage_that_kept_the_same_is_believed(client: Platform, server: ScriptedServer, checkpoint: Upload) -> None:
    md5 = base64.b64encode(hashlib.md5(checkpoint.content.read_bytes()).digest()).decode()
    headers = {"x-goog-stored-content-length": str(checkpoint.size), "x-goog-hash": f"crc32c=AAAAAA==, md5={md5}"}
    same = Reply(body={"size": checkpoint.size, "sha256": checkpoint.sha256}, headers=headers)
    server.script = lambda request: same if request.method == "PUT" else received(request)
    assert client.upload(checkpoint, lambda _: None).answer["sha256"] == checkpoint.sha256


@pytest.mark.parametrize("status", [404, 409])
def test_an_upload_that_got_lost_there_is_made_again(
    client: Platform, server: ScriptedServer, checkpoint: Upload, status: int
) -> None:
    server.script = lambda request: Reply(status, {}) if request.path == METRICS else received(request)
    with pytest.raises(Transient):
        client.upload(checkpoint, lambda _: None)


@pytest.mark.parametrize("status", [404, 409])
def test_uploads_that_are_never_taken_up_hold_nothing_up(
    client: Platform, server: ScriptedServer, checkpoint: Upload, status: int
) -> None:
    answer = Reply(status, {"error": "not now, not ever"})
    server.script = lambda request: answer if request.path == METRICS else received(request)
    with pytest.raises(Transient):
        client.upload(replace(checkpoint, attempt=7), lambda _: None)
    with pytest.raises(Refused, match=r"not now, not ever; .* sent without it"):
        client.upload(replace(checkpoint, attempt=8), lambda _: None)
    assert sum(each.method == "PUT" for each in server.requests) == 3


def test_an_upload_that_got_lost_late_is_made_again_at_once(
    client: Platform, server: ScriptedServer, checkpoint: Upload
) -> None:
    lost = [Reply(404, {"error": "no such upload"})]
    server.script = lambda request: lost.pop() if request.path == METRICS and lost else received(request)
    assert client.upload(replace(checkpoint, attempt=8), lambda _: None).answer["sha256"] == checkpoint.sha256


def test_each_promotion_has_its_own_key(client: Platform, server: ScriptedServer, checkpoint: Upload) -> None:
    places = iter(["staging/1", "staging/2", "staging/2"])

    def script(request: Request) -> Reply:
        reply = received(request)
        return replace(reply, body={**reply.body, "uploadPath": next(places)}) if request.path == UPLOAD else reply

    server.script = script
    for attempt in (1, 2, 3):
        client.upload(replace(checkpoint, attempt=attempt), lambda _: None)
    first, second, third = (each.headers["idempotency-key"] for each in server.requests if each.path == METRICS)
    assert first != second
    assert second == third
    assert first.startswith(checkpoint.chunk_id)


def test_an_empty_file_has_a_length(client: Platform, server: ScriptedServer, checkpoint: Upload) -> None:
    checkpoint.content.write_bytes(b"")
    client.upload(replace(checkpoint, size=0, sha256=hashlib.sha256(b"").hexdigest()), lambda _: None)
    [put] = [each for each in server.requests if each.method == "PUT"]
    assert put.headers["content-length"] == "0"


# --- the contract of late 2025


def without_ids(_: Request) -> Reply:
    return Reply(body={"received": True})


def test_a_server_without_ids_is_told_project_and_name(
    client: Platform, server: ScriptedServer, registration: Message, epoch: Message
) -> None:
    server.script = without_ids
    receipt = client.register(registration)
    assert receipt.ids == {}
    client.send(replace(epoch, identity=registration.identity))
    assert {key: server.bodies()[1][key] for key in ("event", "project", "name")} == {
        "event": "epoch_end",
        "project": "demo",
        "name": "train",
    }


def test_a_server_without_ids_needs_no_promotion(
    client: Platform, server: ScriptedServer, registration: Message, checkpoint: Upload
) -> None:
    receipt = client.upload(replace(checkpoint, identity=registration.identity), lambda _: None)
    assert [each.method for each in server.requests] == ["POST", "PUT"]
    file = {"filename": "best.pt", "size": checkpoint.size, "sha256": checkpoint.sha256}
    assert server.bodies() == [{**file, "project": "demo", "name": "train"}]
    assert receipt.ids == {"modelPath": "models/best.pt", "modelSize": checkpoint.size}


def test_not_found_without_ids_is_an_ordinary_refusal(
    client: Platform, server: ScriptedServer, registration: Message
) -> None:
    server.script = lambda _: GONE
    with pytest.raises(Refused) as caught:
        client.send(registration)
    assert not isinstance(caught.value, RunGone)


# --- the recording


def test_our_requests_have_the_fields_of_the_recording(
    client: Platform, server: ScriptedServer, registration: Message, complete: Message, checkpoint: Upload
) -> None:
    """The keys at the top of each kind of request; `size` and `sha256` are ours."""
    client.register(registration)
    client.upload(checkpoint, lambda _: None)
    client.send(complete)
    ours = {_kind(each.json()): set(each.json()) for each in server.requests if each.method == "POST"}
    recorded = {
        "training_started": {"project", "name", "event", "data"},
        "upload": {"filename", "modelId", "runId"},
        "checkpoint_saved": {"modelId", "event", "data"},
        "training_complete": {"modelId", "event", "data"},
    }
    assert ours == {**recorded, "upload": recorded["upload"] | {"size", "sha256"}}


def _kind(body: dict[str, object]) -> object:
    return body.get("event", "upload")


def test_the_storage_gets_no_credentials(client: Platform, server: ScriptedServer, checkpoint: Upload) -> None:
    client.upload(checkpoint, lambda _: None)
    [put] = [each for each in server.requests if each.method == "PUT"]
    assert "authorization" not in put.headers
