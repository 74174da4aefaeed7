"""What a person does at a page: by the API's rules, with the key only, and nothing at the bidding of another site."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import requests
from support.platform_api import Api

from uploader.server.running import RunningServer, running

KEY = "local/demo/train"


def act(api: Api, action: str, value: Any = None, key: str = KEY) -> tuple[int, str]:
    """Do something, and return the status and the reason."""
    answer = api.post("/data/act", {"key": key, "action": action, "value": value})
    return answer.status_code, answer.json().get("error", "")


def test_a_training_that_is_stopped_is_told_so_and_cannot_be_stopped_when_it_has_ended(api: Api) -> None:
    run = api.start()
    assert act(api, "stop") == (200, "")
    answer = api.event("epoch_end", {"epoch": 0}, modelId=run["modelId"])
    assert (answer["cancelled"], api.model()["status"]) == (True, "cancelled")
    other = api.start("other")
    api.event("training_complete", {}, modelId=other["modelId"])
    assert act(api, "stop", key="local/demo/other") == (409, "The training has already completed")


def test_names_tags_and_notes_are_those_of_the_api(api: Api) -> None:
    api.start()
    path = f"/api/models/{KEY}"
    assert api.request("PATCH", path, json={"metadata": {"mine": 1, "tags": ["old"]}}).ok
    assert act(api, "rename", " Night shift ") == (200, "")
    assert act(api, "tags", ["night", " camera 4", "night"]) == (200, "")
    assert act(api, "note", "Look at epoch 3") == (200, "")
    model = api.model()
    assert (model["name"], model["model"]) == ("Night shift", "train")
    assert model["metadata"] == {"mine": 1, "tags": ["night", "camera 4"], "note": "Look at epoch 3"}
    assert (api.listed()["name"], api.listed()["tags"]) == ("Night shift", ["night", "camera 4"])
    assert api.shown()["facts"]["note"] == "Look at epoch 3"


@pytest.mark.parametrize(
    ("action", "value", "why"),
    [
        ("rename", " ", "at least one letter"),
        ("rename", None, "at least one letter"),
        ("rename", "a\0b", r"The name 'a\x00b' has characters that control a screen"),
        ("rename", "a\u202eb", "turn the direction"),
        ("rename", "x" * 201, "has 201 characters: there may be 200"),
        ("tags", "night", "Tags are texts"),
        ("tags", [""], "Tags are texts"),
        ("tags", [7], "Tags are texts"),
        ("tags", ["a", "x" * 101], f"The tag '{'x' * 40}…' has 101 characters: there may be 100"),
        ("tags", ["a", "b\nc"], r"The tag 'b\nc' has characters that control"),
        ("tags", [str(number) for number in range(101)], "These are 101 tags: there may be 100"),
        ("note", 7, "A note is a text"),
    ],
)
def test_what_cannot_be_said_is_refused_with_its_reason(api: Api, action: str, value: Any, why: str) -> None:
    api.start()
    status, reason = act(api, action, value)
    assert (status, why in reason) == (409, True), reason
    if action == "rename":
        assert api.request("PATCH", f"/api/models/{KEY}", json={"name": value}).status_code == 422
    assert (api.model()["name"], api.model()["metadata"]) == ("train", {})


def test_what_is_deleted_is_gone_with_all_that_was_recorded(server: RunningServer, api: Api) -> None:
    run = api.start()
    api.checkpoint(b"weights", run)
    assert act(api, "delete") == (200, "")
    assert api.request("GET", f"/api/models/{KEY}").status_code == 404
    assert requests.get(f"{server.url}/runs/{KEY}", timeout=60).status_code == 404
    assert act(api, "delete")[0] == 404


def test_models_of_hub_are_named_and_deleted_but_nobody_can_stop_them(api: Api) -> None:
    model = api.post("/v1/models", {"meta": {"name": "a", "mine": 1}}).json()["data"]["id"]
    key = f"hub/{model}"
    assert api.shown(key)["facts"]["actions"] == ["rename", "tags", "note", "delete"]
    assert [act(api, *each, key=key)[0] for each in (("rename", "b"), ("tags", ["t"]), ("note", "n"))] == [200] * 3
    assert api.get(f"/v1/models/{model}")["data"]["meta"] == {"name": "b", "mine": 1, "tags": ["t"], "note": "n"}
    assert act(api, "stop", key=key)[0] == 409
    assert act(api, "delete", key=key) == (200, "")
    assert api.request("GET", f"/v1/models/{model}").status_code == 404


def test_a_server_of_2025_edits_nothing(tmp_path: Path) -> None:
    with running(tmp_path, api_key="k", contract="2025") as server:
        api = Api(server.url, "k")
        api.start()
        assert api.shown()["facts"]["actions"] == ["stop", "delete"]
        assert act(api, "rename", "b")[0] == 409
        assert act(api, "stop") == (200, "")


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"key": "x"}', '{"key": "x", "action": "burn"}', "x" * 300_000])
def test_what_is_no_action_is_refused(api: Api, body: str) -> None:
    answer = api.request("POST", "/data/act", data=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, "rename" in answer.json()["error"]) == (400, True)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": "Bearer ul_test_key"}, 200),
        ({"x-api-key": "ul_test_key"}, 200),
        ({}, 401),  # although the browser is on the same machine
        ({"Authorization": "Bearer wrong"}, 401),
        (
            {"Authorization": "Basic " + base64.b64encode(b"me:ul_test_key").decode()},
            401,
        ),  # a browser sends it by itself
        ({"Authorization": "Bearer ul_test_key", "Origin": "https://evil.example"}, 403),
        ({"Authorization": "Bearer ul_test_key", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Authorization": "Bearer ul_test_key", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Authorization": "Bearer ul_test_key", "Content-Type": "text/plain"}, 415),
        ({"Authorization": "Bearer ul_test_key", "Content-Type": "application/x-www-form-urlencoded"}, 415),
    ],
)
def test_only_who_has_the_key_and_asks_from_here_acts(
    server: RunningServer, api: Api, headers: dict[str, str], status: int
) -> None:
    api.start()
    said = {"Content-Type": "application/json", **headers}
    body = b'{"key": "local/demo/train", "action": "rename", "value": "b"}'
    answer = requests.post(f"{server.url}/data/act", data=body, headers=said, timeout=60)
    assert (answer.status_code, api.model()["name"]) == (status, "b" if status == 200 else "train")
    if status == 401:  # no window for a password, which the browser would then send by itself
        assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


@pytest.mark.parametrize("path", ["/", "/compare", "/runs/x", "/assets/base.js", "/data/runs", "/data/events?runs="])
def test_who_only_looks_needs_what_the_pages_need(server: RunningServer, path: str) -> None:
    def status(**options: Any) -> int:
        with requests.get(server.url + path, timeout=60, stream=True, **options) as answer:
            return answer.status_code

    here = 404 if path == "/runs/x" else 200
    assert status() == here
    assert status(headers={"X-Forwarded-For": "10.0.0.1"}) == 401
    assert status(headers={"X-Forwarded-For": "10.0.0.1"}, auth=("me", server.api_key)) == here
