"""`Idempotency-Key`: one effect, one answer."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from support.platform_api import EVENTS, UPLOAD, Api, put

from uploader.server.api.idempotency import RETENTION
from uploader.server.running import running

START = {"event": "training_started", "data": {}, "project": "demo", "name": "train"}


def models(api: Api) -> int:
    return len(api.get("/api/models/local/demo")["models"])


def test_the_same_request_twice_registers_once_and_gets_the_same_answer(api: Api) -> None:
    first, second = (api.post(EVENTS, START, key="k1") for _ in range(2))
    assert (first.status_code, first.content) == (second.status_code, second.content)
    assert models(api) == 1


def test_other_keys_and_no_key_make_other_requests(api: Api) -> None:
    for key in ("k1", "k2", None, None):
        assert api.post(EVENTS, START, key=key).status_code == 200
    assert models(api) == 4


def test_the_same_key_with_another_body_is_refused(api: Api) -> None:
    api.post(EVENTS, START, key="k1")
    refused = api.post(EVENTS, {**START, "name": "other"}, key="k1")
    assert refused.status_code == 422
    assert models(api) == 1


def test_a_key_belongs_to_its_path(api: Api) -> None:
    run = api.post(EVENTS, START, key="k1").json()
    answer = api.post(UPLOAD, {"filename": "best.pt", "modelId": run["modelId"], "runId": run["runId"]}, key="k1")
    assert answer.status_code == 200


def test_of_duplicates_that_arrive_at_once_one_is_executed(api: Api) -> None:
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda _: api.post(EVENTS, START, key="k1"), range(64)))
    assert {each.content for each in answers} == {answers[0].content}
    assert answers[0].json()["runId"] == 1
    assert models(api) == 1


def test_answers_survive_a_restart(tmp_path: Path) -> None:
    answers = []
    for _ in range(2):
        with running(tmp_path, api_key="k") as server:
            answers.append(Api(server.url, "k").post(EVENTS, START, key="k1").json())
    for each in answers:
        del each["modelUrl"]  # the port changes
    assert answers[0] == answers[1]


def test_a_refused_request_may_be_retried(api: Api) -> None:
    epoch = {"event": "epoch_end", "data": {"epoch": 0, "metrics": {}}, "project": "demo", "name": "train"}
    assert api.post(EVENTS, epoch, key="k1").status_code == 404
    api.start()
    assert api.post(EVENTS, epoch, key="k1").status_code == 200


def test_a_repeated_upload_request_returns_the_same_upload_with_a_new_url(tmp_path: Path) -> None:
    now = [1_800_000_000.0]
    with running(tmp_path, api_key="k", clock=lambda: now[0], url_lifetime=60) as server:
        api = Api(server.url, "k")
        run = api.start()
        wish = {"filename": "best.pt", "modelId": run["modelId"], "runId": run["runId"]}
        first = api.post(UPLOAD, wish, key="k1").json()
        now[0] += 3600
        second = api.post(UPLOAD, wish, key="k1").json()
        assert put(first["uploadUrl"], b"x").status_code == 403
        assert put(second["uploadUrl"], b"x").status_code == 200
        assert second["uploadPath"] == first["uploadPath"]


def test_without_idempotency_each_request_is_executed(tmp_path: Path) -> None:
    with running(tmp_path, api_key="k", idempotency=False) as server:
        api = Api(server.url, "k")
        for _ in range(2):
            api.post(EVENTS, START, key="k1")
        assert models(api) == 2


def test_an_overlong_key_is_refused(api: Api) -> None:
    assert api.post(EVENTS, START, key="k" * 256).status_code == 422


def answers_kept(data: Path) -> list[str]:
    with closing(sqlite3.connect(data / "platform.db")) as database:
        return [row[0] for row in database.execute("SELECT key FROM answers ORDER BY key")]


def test_long_after_a_training_only_its_registration_is_remembered(tmp_path: Path) -> None:
    now = [1_800_000_000.0]
    with running(tmp_path, api_key="k", clock=lambda: now[0]) as server:
        api = Api(server.url, "k")
        ended, going_on = (api.event("training_started", {}, project="demo", key=f"start {name}") for name in "ab")
        for name, run in (("a", ended), ("b", going_on)):
            target = {"modelId": run["modelId"]}
            api.event("epoch_end", {"epoch": 0}, key=f"epoch {name}", **target)
            wish = {"filename": "best.pt", "runId": run["runId"], **target}
            assert api.post(UPLOAD, wish, key=f"ticket {name}").status_code == 200
        api.event("training_complete", {}, key="end a", modelId=ended["modelId"])
        everything = ["end a", "epoch a", "epoch b", "start a", "start b", "ticket a", "ticket b"]
        now[0] += RETENTION.total_seconds()
        api.start("other")
        assert answers_kept(tmp_path) == everything
        now[0] += 1
        api.start("other")
        assert answers_kept(tmp_path) == ["epoch b", "start a", "start b", "ticket b"]
        again = api.event("training_started", {}, project="demo", key="start a")
        assert again["modelId"] == ended["modelId"]


def test_answers_are_deleted_with_their_model_which_does_not_come_back(tmp_path: Path) -> None:
    with running(tmp_path, api_key="k") as server:
        api = Api(server.url, "k")
        run = api.event("training_started", {}, project="demo", key="start")
        api.event("epoch_end", {"epoch": 0}, key="epoch", modelId=run["modelId"])
        assert api.request("DELETE", "/api/models/local/demo/train").status_code == 200
        assert answers_kept(tmp_path) == ["start"]
        api.event("training_started", {}, project="demo", key="start")
        assert models(api) == 0
