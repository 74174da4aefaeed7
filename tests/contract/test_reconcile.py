"""A registration whose answer was lost is looked up before it is sent again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.platform_api import Api
from support.scripted_server import Reply, Request, Script, ScriptedServer, received, scripted_server

from journal.records import Known
from uploader.errors import Forbidden, ReadRefused, Refused, Transient, UnknownOutcome
from uploader.platforms.base import Message, Receipt, RunIdentity
from uploader.platforms.http.transport import Transport
from uploader.platforms.ultralytics import reconcile, registration
from uploader.platforms.ultralytics.client import UltralyticsPlatform
from uploader.server.running import running

KEY = "ul_contract_key"
FIRST = Message(
    "a" * 64, "training_started", '{"environment": {"uploaderRun": "uuid-1"}}', RunIdentity("uuid-1", "demo", "t")
)
AGAIN = replace(FIRST, attempt=2)
LOST = replace(
    FIRST,
    chunk_id="b" * 64,
    data_json='{"trainArgs": {"resume": "runs/train/weights/last.pt"}, "environment": {"uploaderRun": "uuid-1"}}',
)
OURS = {"id": "m-1", "model": "t", "status": "running", "environment": {"uploaderRun": "uuid-1"}}


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as running_server:
        yield running_server


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """A platform that knows no idempotency keys, as the public one."""
    with running(tmp_path / "platform", api_key=KEY, idempotency=False) as platform:
        yield Api(platform.url, KEY)


def register(url: str, message: Message) -> Receipt:
    client = UltralyticsPlatform(url, KEY, Transport())
    try:
        return client.register(message)
    finally:
        client.close()


def listing(*models: object) -> Script:
    """Answer reads with an account and these models, and POSTs as a platform does."""

    def script(request: Request) -> Reply:
        if request.path == "/api/account/summary":
            return Reply(body={"username": "me"})
        return Reply(body={"models": list(models)}) if request.method == "GET" else received(request)

    return script


def limited(*models: dict[str, object]) -> Script:
    """Answer as `listing` does, with no more models than the request's `limit`."""

    def script(request: Request) -> Reply:
        limit = int(request.path.partition("limit=")[2] or 0)
        return listing(*models[:limit])(request)

    return script


def paths(server: ScriptedServer, method: str) -> list[str]:
    return [each.path for each in server.requests if each.method == method]


def resumed(receipt: Receipt, attempt: int) -> Message:
    return replace(FIRST, chunk_id="b" * 64, identity=replace(FIRST.identity, ids=receipt.ids or {}), attempt=attempt)


STREAMED = '{"environment": {"uploaderRun": "uuid-1", "platformModel": "%s"}}'


def streamed(model_id: str, **changes: Any) -> Message:
    """Return the registration of a training that upstream has streamed so far."""
    return replace(FIRST, data_json=STREAMED % model_id, **changes)


def session(uuid: str, generation: int, parent: str | None, ids: dict[str, Any], **changes: Any) -> Message:
    """Return the registration of a session of the run, whose model is known by its ids."""
    told = {"uuid": uuid, "generation": generation, "parent": parent}
    data = json.dumps({"environment": {"uploaderRun": "uuid-1", "uploaderSession": told}})
    known = changes.pop("known", [])
    identity = replace(FIRST.identity, ids=ids, sessions=frozenset([uuid, *known]))
    return replace(FIRST, chunk_id=uuid * 32, data_json=data, identity=identity, **changes)


# --- against a platform


def test_the_second_of_two_copies_that_go_on_is_a_model_of_its_own(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    first = register(api.url, session("s1", 1, None, {})).ids
    one = register(api.url, session("a2", 2, "s1", first)).ids
    other = register(api.url, session("b2", 2, "s1", first))
    assert one["modelId"] == first["modelId"] != other.ids["modelId"]
    assert other.ids["modelSlug"] == "t-copy"
    said = f"model {first['modelId']} has gone on with another copy of run uuid-1"
    assert other.answer["warning"] == said
    assert said in caplog.text
    known = {**first, **other.ids}
    assert register(api.url, session("b3", 3, "b2", known)).ids["modelId"] == other.ids["modelId"]
    assert register(api.url, session("a3", 3, "a2", first)).ids["modelId"] == first["modelId"]


def test_a_copy_whose_answer_was_lost_is_one_model(api: Api) -> None:
    first = register(api.url, session("s1", 1, None, {})).ids
    register(api.url, session("a2", 2, "s1", first))
    other = register(api.url, session("b2", 2, "s1", first))
    again = register(api.url, session("b2", 2, "s1", first, attempt=2))
    assert again.ids["modelId"] == other.ids["modelId"]
    assert len(api.get("/api/models/local/demo")["models"]) == 2


def test_a_copy_that_announced_itself_meanwhile_is_not_taken_for_us(api: Api) -> None:
    """Our first attempt never arrived, and the model has got a run more: another copy's."""
    first = register(api.url, session("s1", 1, None, {})).ids
    register(api.url, session("a2", 2, "s1", first))
    again = register(api.url, session("b2", 2, "s1", first, attempt=2))
    assert again.ids["modelId"] != first["modelId"]


def test_of_two_copies_that_are_announced_at_once_the_local_platform_takes_one(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = register(api.url, session("s1", 1, None, {})).ids
    read = registration.newest_session

    def read_and_be_overtaken(*about: Any) -> Any:
        monkeypatch.setattr(registration, "newest_session", read)
        last = read(*about)
        register(api.url, session("a2", 2, "s1", first))
        return last

    monkeypatch.setattr(registration, "newest_session", read_and_be_overtaken)
    assert register(api.url, session("b2", 2, "s1", first)).ids["modelSlug"] == "t-copy"


def test_two_sessions_that_met_in_one_journal_are_told_as_one_run(api: Api) -> None:
    first = register(api.url, session("s1", 1, None, {})).ids
    register(api.url, session("a2", 2, "s1", first))
    met = session("b2", 2, "s1", first, known=["s1", "a2"])
    assert register(api.url, met).ids["modelId"] == first["modelId"]
    assert len(api.get("/api/models/local/demo")["models"]) == 1
    known = ["s1", "a2", "b2"]
    assert register(api.url, session("b3", 3, "b2", first, known=known)).ids["modelId"] == first["modelId"]


def test_a_run_of_the_session_before_is_not_taken_for_a_lost_answer(api: Api) -> None:
    first = register(api.url, session("s1", 1, None, {})).ids
    register(api.url, session("s2", 2, "s1", first))
    register(api.url, session("s3", 3, "s2", first, attempt=2))  # whose first attempt never arrived
    assert len(api.model("t")["runIds"]) == 3


@pytest.mark.parametrize(
    "goes_on",
    [
        {"uuid": "s2", "generation": 2, "parent": "s1"},  # as it should be
        {"uuid": "s9", "generation": 9, "parent": "s8"},  # the platform has not heard of those between
        {"uuid": "s1", "generation": 1, "parent": None},  # told again
        {"uuid": "s0", "generation": 0, "parent": None, "known": ["s1"]},  # late: our journal has both
    ],
)
def test_a_run_goes_on_with_its_model(api: Api, goes_on: dict[str, Any]) -> None:
    first = register(api.url, session("s1", 1, None, {})).ids
    assert register(api.url, session(ids=first, **goes_on)).ids["modelId"] == first["modelId"]


def test_a_wiped_journal_finds_the_model_and_goes_on_unless_another_copy_has(api: Api) -> None:
    first = register(api.url, session("s1", 1, None, {})).ids
    resumed = '{"trainArgs": {"resume": "last.pt"}, "environment"'

    def wiped(uuid: str) -> Message:
        message = session(uuid, 2, "s1", {})
        return replace(message, data_json=message.data_json.replace('{"environment"', resumed, 1))

    assert register(api.url, wiped("a2")).ids["modelId"] == first["modelId"]
    assert register(api.url, wiped("b2")).ids["modelId"] != first["modelId"]
    third = replace(wiped("a3"), data_json=wiped("a3").data_json.replace('2, "parent": "s1"', '3, "parent": "a2"'))
    assert register(api.url, third).ids["modelId"] == first["modelId"]  # not the newest of the run's two


def test_a_platform_that_tells_no_sessions_is_gone_on_with(server: ScriptedServer) -> None:
    known = {"modelId": "m-1", "modelSlug": "t"}
    for answer in (Reply(404), Reply(403), Reply(401), Reply(body={"model": 1}), Reply(body={"model": OURS})):

        def script(request: Request, answer: Reply = answer) -> Reply:
            if request.path == "/api/account/summary":
                return Reply(body={"username": "me"})
            return answer if request.method == "GET" else received(request)

        server.script = script
        assert register(server.url, session("s2", 2, "s1", known)).ids["modelId"] == "m-1"


def test_a_key_that_may_not_read_tells_nothing_of_an_older_copy(server: ScriptedServer) -> None:
    server.script = lambda _: Reply(401)
    client = UltralyticsPlatform(server.url, KEY, Transport())
    identity = replace(FIRST.identity, ids={"modelId": "m-1", "modelSlug": "t"})
    for each in (identity, FIRST.identity):
        assert client.ahead(each, Known(frozenset(), 1, 0, is_complete=False)) is None
    client.close()


@pytest.mark.parametrize("reply", [Reply(404, b"<html>Not Found</html>"), Reply(404, b""), Reply(405, b"")])
@pytest.mark.parametrize("attempt", [1, 2])
def test_a_platform_that_reads_nothing_back_is_gone_on_with(server: ScriptedServer, reply: Reply, attempt: int) -> None:
    server.script = lambda request: reply if request.method == "GET" else received(request)
    resumed = session("s2", 2, "s1", {"modelId": "m-1", "runId": 1}, attempt=attempt)
    assert register(server.url, resumed).ids["modelId"] == "m-1"


def test_a_training_goes_on_as_the_model_that_upstream_made(api: Api) -> None:
    begun = api.start("t")
    for attempt in (1, 2):  # the answer to the first is lost
        assert register(api.url, streamed(begun["modelId"], attempt=attempt)).ids["modelId"] == begun["modelId"]
    assert len(api.model("t")["runIds"]) == 2


def test_a_second_attempt_is_made_where_the_first_never_arrived(api: Api) -> None:
    begun = api.start("t")
    receipt = register(api.url, streamed(begun["modelId"], attempt=2))
    assert receipt.ids["runId"] > begun["runId"]


@pytest.mark.parametrize("path", ["t", "t/training"])
def test_where_upstreams_model_takes_no_more_sessions_the_run_is_a_new_one(api: Api, path: str) -> None:
    begun = api.start("t")
    assert api.request("DELETE", f"/api/models/local/demo/{path}").ok  # deleted, or cancelled
    assert register(api.url, streamed(begun["modelId"])).ids["modelId"] != begun["modelId"]


def test_a_second_attempt_finds_the_model_of_the_first(api: Api) -> None:
    first = register(api.url, FIRST)
    assert register(api.url, AGAIN).ids == {name: first.ids[name] for name in ("modelId", "modelSlug", "runId")}
    assert api.model("t")["runIds"] == [first.ids["runId"]]


def test_a_second_attempt_finds_the_model_of_the_first_also_if_that_was_cancelled_meanwhile(api: Api) -> None:
    first, again = session("s1", 1, None, {}), session("s1", 1, None, {}, attempt=2)
    made = (register(api.url, first).ids or {})["modelId"]
    assert api.request("DELETE", "/api/models/local/demo/t/training").ok  # cancelled
    assert (register(api.url, again).ids or {})["modelId"] == made
    resumed = session("s2", 2, "s1", {}, attempt=2, known=["s1"])
    assert (register(api.url, resumed).ids or {})["modelId"] != made


def test_so_it_is_for_the_first_session_of_a_loop_that_names_none(api: Api) -> None:
    first = replace(FIRST, order="1 s1 1 s1 1")
    made = (register(api.url, first).ids or {})["modelId"]
    assert api.request("DELETE", "/api/models/local/demo/t/training").ok  # cancelled
    assert (register(api.url, replace(first, attempt=2)).ids or {})["modelId"] == made
    later = replace(AGAIN, order="2 s2 1 s2 1")  # its own model may be yet to come, and this one takes nothing of it
    assert (register(api.url, later).ids or {})["modelId"] != made


def test_where_the_name_is_the_model_nothing_is_looked_up(tmp_path: Path) -> None:
    with running(tmp_path / "older", api_key=KEY, contract="2025", idempotency=False) as platform:
        assert register(platform.url, FIRST).ids == register(platform.url, AGAIN).ids == {}
        assert len(Api(platform.url, KEY).get("/api/models/local/demo")["models"]) == 1


def test_without_the_attempt_before_it_there_would_be_two(api: Api) -> None:
    assert register(api.url, FIRST).ids["modelId"] != register(api.url, FIRST).ids["modelId"]


def test_a_second_attempt_registers_when_the_first_never_arrived(api: Api) -> None:
    api.event("training_started", {"environment": {"uploaderRun": "another"}}, project="demo", name="t")
    assert register(api.url, AGAIN).ids["modelSlug"] == "t-2"


def test_a_resumed_session_is_one_run_however_often_it_is_announced(api: Api) -> None:
    first = register(api.url, FIRST)
    second = register(api.url, resumed(first, attempt=1))
    again = register(api.url, resumed(first, attempt=2))
    assert again.ids == {"runId": second.ids["runId"]}
    assert api.model("t")["runIds"] == [first.ids["runId"], second.ids["runId"]]


def test_a_resumed_session_that_never_arrived_is_announced(api: Api) -> None:
    first = register(api.url, FIRST)
    assert register(api.url, resumed(first, attempt=2)).ids["runId"] > first.ids["runId"]


@pytest.mark.parametrize("end", ["", "/training"])
def test_the_model_that_follows_an_ended_one_is_registered_once(api: Api, end: str) -> None:
    first = register(api.url, FIRST)
    assert api.request("DELETE", f"/api/models/local/demo/t{end}").ok
    new = register(api.url, resumed(first, attempt=1))
    again = register(api.url, resumed(first, attempt=2))
    assert new.ids["modelId"] == again.ids["modelId"] != first.ids["modelId"]


@pytest.mark.parametrize("idempotency", [True, False])
def test_a_resumed_training_whose_journal_was_lost_goes_on_with_its_model(tmp_path: Path, idempotency: bool) -> None:
    with running(tmp_path / "platform", api_key=KEY, idempotency=idempotency) as platform:
        first = register(platform.url, FIRST)
        second = register(platform.url, LOST)
        assert second.ids["modelId"] == first.ids["modelId"]
        assert Api(platform.url, KEY).model("t")["runIds"] == [first.ids["runId"], second.ids["runId"]]


@pytest.mark.parametrize("end", ["", "/training"])
def test_when_its_model_has_ended_it_becomes_a_new_one(api: Api, end: str) -> None:
    first = register(api.url, FIRST)
    assert api.request("DELETE", f"/api/models/local/demo/t{end}").ok
    second = register(api.url, LOST)
    assert second.ids["modelId"] != first.ids["modelId"]
    assert register(api.url, replace(LOST, attempt=2)).ids["modelId"] == second.ids["modelId"]


def test_a_project_that_changed_between_two_drains_is_named_as_the_cause(tmp_path: Path) -> None:
    with running(tmp_path / "platform", api_key=KEY) as platform:
        first = register(platform.url, FIRST)
        with pytest.raises(Refused, match=r"another project.*set UPLOADER_PROJECT.*`retry`"):
            register(platform.url, replace(FIRST, identity=replace(FIRST.identity, project="other")))
        assert register(platform.url, FIRST).ids == first.ids


# --- against other answers


@pytest.mark.parametrize("resume", ["False", "None", "", None])
def test_a_first_attempt_reads_nothing(server: ScriptedServer, resume: str | None) -> None:
    register(server.url, replace(FIRST, data_json=json.dumps({"trainArgs": {"resume": resume}})))
    assert paths(server, "GET") == []


def test_a_link_that_breaks_at_every_fifth_request_lets_a_resumed_training_through(server: ScriptedServer) -> None:
    model, count = {**OURS, "model": "t", "runIds": [3]}, iter(range(1, 1000))

    def script(request: Request) -> Reply:
        if next(count) % 5 == 0:
            return Reply(reset=True)
        if request.path == "/api/account/summary":
            return Reply(body={"username": "me"})
        if request.path == "/api/models/me/demo/t":
            return Reply(body={"model": model})
        return Reply(body={"models": [model]}) if request.method == "GET" else received(request)

    server.script = script
    wiped = session("s2", 2, "s1", {}, attempt=2)
    resumed = wiped.data_json.replace('{"environment"', '{"trainArgs": {"resume": "last.pt"}, "environment"', 1)
    client = UltralyticsPlatform(server.url, KEY, Transport())
    for _ in range(6):
        with suppress(UnknownOutcome):
            client.register(replace(wiped, data_json=resumed))
    client.close()
    assert len(paths(server, "POST")) >= 3
    assert paths(server, "GET").count("/api/account/summary") == 1


def test_a_model_that_is_found_for_a_lost_journal_is_known_from_then_on(server: ScriptedServer) -> None:
    answer = Reply(body={"received": True, "runId": 9})
    server.script = lambda request: answer if request.method == "POST" else listing({**OURS, "runIds": [3]})(request)
    assert register(server.url, LOST).ids == {"modelId": "m-1", "modelSlug": "t", "runId": 9}
    assert server.bodies()[0]["modelId"] == "m-1"


def test_a_platform_that_lists_no_runs_is_asked_to_go_on_with_the_model(server: ScriptedServer) -> None:
    server.script = listing({"id": "m-0"}, {**OURS, "id": "m-9", "status": "cancelled"}, OURS)
    assert register(server.url, AGAIN).ids == {"modelId": "m-1", "modelSlug": "t", "runId": 7}
    [sent] = server.bodies()
    assert sent["modelId"] == "m-1"
    assert [each.headers["idempotency-key"] for each in server.requests if each.method == "POST"] != [FIRST.chunk_id]


def test_a_model_that_is_deleted_after_it_was_found_is_registered_anew(server: ScriptedServer) -> None:
    def script(request: Request) -> Reply:
        if request.method == "POST" and "modelId" in request.json():
            server.script = listing()
            return Reply(404, {"error": "no such model"})
        return listing(OURS)(request)

    server.script = script
    assert (register(server.url, AGAIN).ids or {})["runId"] == 7
    assert "modelId" not in server.bodies()[-1]


def test_the_project_of_somebody_else_is_looked_for_there(server: ScriptedServer) -> None:
    server.script = listing()
    register(server.url, replace(AGAIN, identity=replace(AGAIN.identity, project="Team/demo")))
    assert [path.partition("?")[0] for path in paths(server, "GET")] == [
        "/api/models/team/demo",
        "/api/account/summary",
        "/api/models/me/Team-demo",
    ]


def test_a_server_without_these_reads_is_simply_told_again(server: ScriptedServer) -> None:
    server.script = lambda request: Reply(404) if request.method == "GET" else received(request)
    assert register(server.url, AGAIN).ids == {"modelId": "m-1", "runId": 7}


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Reply(503), Transient),
        (Reply(401), ReadRefused),
        (Reply(403), Forbidden),
        (Reply(404, b"<html>Not Found</html>"), Transient),
        (Reply(body={}), Transient),
    ],
)
def test_nothing_is_sent_while_it_cannot_be_known(
    server: ScriptedServer, reply: Reply, expected: type[Exception]
) -> None:
    server.script = lambda _: reply
    with pytest.raises(expected):
        register(server.url, AGAIN)
    assert paths(server, "POST") == []


def test_one_place_that_may_not_be_read_does_not_hide_the_other(server: ScriptedServer) -> None:
    def script(request: Request) -> Reply:
        return Reply(403) if request.path.startswith("/api/models/team/") else listing({**OURS, "runIds": [3]})(request)

    server.script = script
    ours = replace(AGAIN, identity=replace(AGAIN.identity, project="team/demo"))
    assert register(server.url, ours).ids == {"modelId": "m-1", "modelSlug": "t", "runId": 3}


@pytest.mark.parametrize(
    "odd",
    [
        {"id": "m-0", "environment": "linux"},
        {"id": "m-0", "environment": ["linux"]},
        {**OURS, "id": None},
        {**OURS, "id": ["m-1"]},
    ],
)
def test_a_model_of_another_form_is_passed_over(server: ScriptedServer, odd: object) -> None:
    server.script = listing(odd, {**OURS, "model": None, "runIds": [3]})
    assert register(server.url, AGAIN).ids == {"modelId": "m-1", "runId": 3}


@pytest.mark.parametrize(("known", "listed"), [("7", [1, 2]), (None, [1, 2]), (7, 9), (7, ["8"])])
def test_a_session_is_announced_where_run_ids_tell_nothing(
    server: ScriptedServer, known: object, listed: object
) -> None:
    server.script = listing({**OURS, "runIds": listed})
    ids = {"modelId": "m-1", "runId": known}
    assert register(server.url, replace(AGAIN, identity=replace(AGAIN.identity, ids=ids))).ids["runId"] == 7
    assert len(server.bodies()) == 1


def test_a_model_that_is_found_keeps_its_id_whatever_is_said_next(server: ScriptedServer) -> None:
    def script(request: Request) -> Reply:
        odd = Reply(body={"received": True, "modelId": None, "runId": 4})
        return odd if request.method == "POST" else listing(OURS)(request)

    server.script = script
    assert register(server.url, AGAIN).ids == {"modelId": "m-1", "modelSlug": "t", "runId": 4}


def test_a_long_list_is_read_whole(server: ScriptedServer) -> None:
    server.script = listing({"id": "m-0", "trainResults": "x" * 2_000_000}, {**OURS, "runIds": [3, 5]})
    assert register(server.url, AGAIN).ids == {"modelId": "m-1", "modelSlug": "t", "runId": 5}


def test_of_a_list_that_is_too_long_the_newer_half_is_read(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "_LONGEST_LIST", 1000)
    server.script = limited({**OURS, "runIds": [3, 5]}, *[{"id": f"m-{n}", "console": "x" * 100} for n in range(49)])
    assert register(server.url, AGAIN).ids == {"modelId": "m-1", "modelSlug": "t", "runId": 5}
    assert [path.partition("=")[2] for path in paths(server, "GET")[1:]] == ["50", "25", "12", "6"]


def test_a_model_that_is_too_long_by_itself_is_not_taken_for_a_sign_in_page(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "_LONGEST_LIST", 1000)
    server.script = limited({**OURS, "console": "x" * 1000})
    with pytest.raises(Transient, match="more than 1000 bytes"):
        register(server.url, AGAIN)
    assert paths(server, "POST") == []
