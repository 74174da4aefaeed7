"""HUB's API: with its own SDK, unchanged, and by hand what the SDK does not do."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests

from uploader.server.running import RunningServer, running
from uploader.server.storage import store_schema

KEY = "ul_test_key"
WISH = {
    "config": {"batchSize": 8, "epochs": 3, "imageSize": 96, "patience": 100, "device": "cpu", "cache": "False"},
    "dataset": {"name": "ds/data.yaml"},
    "lineage": {"architecture": {"name": "yolo11n"}, "parent": {}},
    "meta": {"name": "yolo11n.yaml"},
}
SDK = """
import json, pathlib, sys, time
from hub_sdk import HUBClient

key, wish, folder = sys.argv[1], json.loads(sys.argv[2]), pathlib.Path(sys.argv[3])
(folder / "last.pt").write_bytes(b"last")
(folder / "best.pt").write_bytes(b"best")
client = HUBClient({"api_key": key})
seen = {"authenticated": client.authenticated}
model = client.model()
model.create_model(wish)
seen["id"], seen["created"] = model.id, model.data
model.start_heartbeat(300)
deadline = time.monotonic() + 60
while model.hub_client.agent_id is None and time.monotonic() < deadline:
    time.sleep(0.01)
seen["agent"] = model.hub_client.agent_id
seen["connected"] = client.model(model.id).data["status"]
seen["metrics"] = model.upload_metrics({"0": json.dumps({"a": 1.5}), "1": json.dumps({"a": 2.5})}).json()
seen["last"] = model.upload_model(1, str(folder / "last.pt"), is_best=True).json()
resumable = client.model(model.id)
seen["resumable"] = [resumable.is_resumable(), resumable.is_trained(), resumable.get_weights_url("last")]
seen["best"] = model.upload_model(2, str(folder / "best.pt"), map=0.25, final=True).json()
trained = client.model(model.id)
seen["trained"] = [trained.is_trained(), trained.get_weights_url("best"), trained.get_dataset_url()]
seen["read"] = trained.get_metrics()
seen["renamed"] = trained.update({"meta": {"name": "renamed"}}).json()["data"]["meta"]
listed = client.model_list(page_size=10)
seen["listed"] = [each["id"] for each in listed.results]
others = [client.model() for _ in range(4)]
for other in others:
    other.create_model(wish)
pages = client.model_list(page_size=2)
seen["pages"] = [[each["id"] for each in pages.results]]
while pages.current_page < pages.total_pages - 1:
    pages.next()
    seen["pages"].append([each["id"] for each in pages.results])
pages.previous()
seen["back"] = [each["id"] for each in pages.results]
seen["others"] = [other.id for other in others]
seen["deleted"] = trained.delete().json()["success"]
seen["gone"] = client.model(model.id).data
model.stop_heartbeat()
print(json.dumps(seen))
"""

Call = Callable[..., requests.Response]


def sdk(server: RunningServer, folder: Path, key: str = KEY) -> dict[str, Any]:
    """Use the SDK in a separate process, because it reads the environment when it is imported."""
    done = subprocess.run(
        [sys.executable, "-c", SDK, key, json.dumps(WISH), str(folder)],
        env={**os.environ, "ULTRALYTICS_HUB_API": server.url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def call(server: RunningServer) -> Call:
    def send(method: str, path: str, key: str = KEY, **options: Any) -> requests.Response:
        headers = {"x-api-key": key, **options.pop("headers", {})}
        return requests.request(method, server.url + path, headers=headers, timeout=60, **options)

    return send


@pytest.fixture
def model(call: Call) -> str:
    return call("POST", "/v1/models", json=WISH).json()["data"]["id"]


def test_the_sdk_works_unchanged(server: RunningServer, tmp_path: Path) -> None:
    pytest.importorskip("hub_sdk")
    seen = sdk(server, tmp_path)
    assert seen["authenticated"] is True
    assert seen["created"]["config"] == WISH["config"]
    assert seen["created"]["status"] == "new"
    assert seen["created"]["cfg"] == "yolo11n.yaml"
    assert seen["created"]["train_args"]["data"] == "ds/data.yaml"
    assert seen["agent"]
    assert seen["connected"] == "connected"
    assert [seen[step]["success"] for step in ("metrics", "last", "best")] == [True, True, True]
    assert seen["resumable"][:2] == [True, False]
    assert seen["trained"][0] is True
    assert seen["trained"][2] == "ds/data.yaml"
    assert seen["read"] == [{"epoch": 0, "a": 1.5}, {"epoch": 1, "a": 2.5}]
    assert seen["renamed"] == {"name": "renamed"}
    assert seen["listed"] == [seen["id"]]
    newest_first = [*reversed(seen["others"]), seen["id"]]
    assert seen["pages"] == [newest_first[:2], newest_first[2:4], newest_first[4:]]
    assert seen["back"] == newest_first[2:4]
    assert seen["deleted"] is True
    assert seen["gone"] == {}


def test_the_sdk_reports_a_wrong_key(server: RunningServer, call: Call) -> None:
    assert call("POST", "/v1/auth", key="another").status_code == 401
    assert call("POST", "/v1/auth").json()["success"] is True


def test_weights_are_downloaded_by_a_signed_url_without_a_key(call: Call, model: str) -> None:
    form = {"epoch": 2, "type": "final", "map": 0.25}
    call("POST", f"/v1/models/{model}/upload", data=form, files={"best.pt": b"weights"})
    data = call("GET", f"/v1/models/{model}").json()["data"]
    assert requests.get(data["weights"], timeout=60).content == b"weights"
    assert requests.get(data["weights"].partition("?")[0], timeout=60).status_code == 403
    assert data["checkpoints"]["best"] | {"sha256": ""} == {
        "sha256": "",
        "size": 7,
        "epoch": 2,
        "isBest": True,
        "map": 0.25,
    }


def test_a_heartbeat_that_stops_disconnects(tmp_path: Path) -> None:
    now = 1_800_000_000.0
    with running(tmp_path / "platform", api_key=KEY, clock=lambda: now) as server:

        def call(method: str, path: str, **options: Any) -> Any:
            answer = requests.request(method, server.url + path, headers={"x-api-key": KEY}, timeout=60, **options)
            return answer.json()["data"]

        model = call("POST", "/v1/models", json=WISH)["id"]
        beat = {"agent": "python", "agentId": None}
        first = call("POST", f"/v1/agent/heartbeat/models/{model}", json=beat)["agentId"]
        again = call("POST", f"/v1/agent/heartbeat/models/{model}", json={**beat, "agentId": first})["agentId"]
        assert again == first
        other = call("POST", "/v1/models", json=WISH)["id"]
        for named in (model, other):  # that has an agent, and that has none yet
            made_up = {**beat, "agentId": "made up"}
            given = call("POST", f"/v1/agent/heartbeat/models/{named}", json=made_up)["agentId"]
            assert given not in {None, first, "made up"}
        now += 599
        assert call("GET", f"/v1/models/{model}")["status"] == "connected"
        now += 1
        assert call("GET", f"/v1/models/{model}")["status"] == "disconnected"
        assert call("POST", f"/v1/agent/heartbeat/models/{model}", json=beat)["agentId"] != first


def test_a_model_is_new_until_something_is_reported(call: Call, model: str) -> None:
    def status() -> str:
        return str(call("GET", f"/v1/models/{model}").json()["data"]["status"])

    assert status() == "new"
    call("POST", f"/v1/models/{model}/upload", data={"epoch": 1, "type": "epoch"}, files={"last.pt": b"x"})
    assert status() == "disconnected"


def test_the_same_request_twice_creates_one_model(call: Call) -> None:
    ids = {
        call("POST", "/v1/models", json=WISH, headers={"Idempotency-Key": "k"}).json()["data"]["id"] for _ in range(2)
    }
    assert len(ids) == 1
    assert call("GET", "/v1/models").json()["data"]["total"] == 1


def test_what_a_model_lacks_is_left_out(call: Call) -> None:
    wish = {"config": {"epochs": 3}, "lineage": {"parent": {"name": "yolo11n.pt"}}}
    model = call("POST", "/v1/models", json=wish).json()["data"]["id"]
    data = call("GET", f"/v1/models/{model}").json()["data"]
    assert data["train_args"] == {"epochs": 3}
    assert (data["is_pretrained"], data["weights"], data["cfg"]) == (True, "yolo11n.pt", None)


@pytest.mark.parametrize("odd", ["text", 7, True, [], ["a"], {"name": {"a": 1}}, {"name": ["a"]}, {}, None])
def test_a_model_with_odd_parts_is_shown_and_hides_no_other(call: Call, odd: object) -> None:
    names = ("parent", "architecture", "name", "epochs", "batchSize")
    parts = {part: dict.fromkeys(names, odd) for part in ("config", "dataset", "lineage", "meta")}
    model = call("POST", "/v1/models", json=parts).json()["data"]["id"]
    shown = (f"/hub/{model}", f"/data/run?key=hub/{model}", "/data/runs", f"/data/trends?key=hub/{model}")
    for path in (f"/v1/models/{model}", "/v1/models", *shown):
        assert call("GET", path).status_code == 200
    assert call("PATCH", f"/v1/models/{model}", json=parts).status_code == 200


def test_an_infinite_number_hides_no_model(call: Call, model: str) -> None:
    assert call("POST", "/v1/models", data='{"meta": {"loss": 1e999}}').status_code == 422
    metrics = {"type": "metrics", "metrics": {"0": '{"a": 1e999, "b": 2.5}'}}
    assert call("POST", f"/v1/models/{model}", json=metrics).status_code == 200
    assert call("GET", f"/v1/models/{model}/metrics").json()["data"] == [{"epoch": 0, "a": None, "b": 2.5}]
    assert call("GET", "/v1/models").status_code == 200


@pytest.mark.parametrize(("limit", "listed"), [("0", 0), ("1", 1), ("-1", 2), ("x", 2), ("9" * 5000, 2)])
def test_any_limit_is_answered(call: Call, model: str, limit: str, listed: int) -> None:
    call("POST", "/v1/models", json=WISH)
    assert len(call("GET", f"/v1/models?limit={limit}").json()["data"]["results"]) == listed


def test_a_list_cannot_continue_after_a_deleted_model(call: Call) -> None:
    assert call("GET", "/v1/models?last_doc_id=none").status_code == 404


@pytest.mark.parametrize(
    ("path", "options", "status"),
    [
        ("", {"json": {"type": "metrics", "metrics": {"0": "[1]"}}}, 422),
        ("", {"json": {"type": "metrics", "metrics": {"-1": "{}"}}}, 422),
        ("", {"json": {"type": "other"}}, 422),
        ("", {"data": b"{"}, 400),
        ("/upload", {"data": {"epoch": 1, "type": "epoch"}, "files": {}}, 422),
        ("/upload", {"data": {"epoch": 1, "type": "other"}, "files": {"last.pt": b"x"}}, 422),
        ("/upload", {"data": {"epoch": 1, "type": "final", "map": "nan"}, "files": {"best.pt": b"x"}}, 422),
        ("/upload", {"data": {"epoch": "x", "type": "epoch"}, "files": {"last.pt": b"x"}}, 422),
        ("/upload", {"data": {}, "files": [("a", b"x"), ("b", b"y")]}, 400),
        ("/upload", {"data": b"--x", "headers": {"Content-Type": "multipart/form-data; boundary=y"}}, 400),
    ],
)
def test_invalid_requests_are_refused(call: Call, model: str, path: str, options: dict[str, Any], status: int) -> None:
    assert call("POST", f"/v1/models/{model}{path}", **options).status_code == status
    assert call("GET", f"/v1/models/{model}").json()["data"]["status"] == "new"


def test_an_unknown_model_is_not_found(call: Call) -> None:
    form = {"data": {"epoch": 1, "type": "epoch"}, "files": {"last.pt": b"x"}}
    for method, path, options in [
        ("GET", "/v1/models/none", {}),
        ("PATCH", "/v1/models/none", {"json": {}}),
        ("DELETE", "/v1/models/none", {}),
        ("POST", "/v1/models/none", {"json": {"type": "metrics", "metrics": {}}}),
        ("GET", "/v1/models/none/metrics", {}),
        ("POST", "/v1/models/none/upload", form),
        ("POST", "/v1/agent/heartbeat/models/none", {"json": {}}),
    ]:
        assert call(method, path, **options).status_code == 404, (method, path)


def test_weights_outlive_a_restart_and_replaced_ones_do_not(tmp_path: Path) -> None:
    def upload(server: RunningServer, model: str, content: bytes) -> None:
        form = {"epoch": 1, "type": "epoch", "isBest": "False"}
        requests.post(
            f"{server.url}/v1/models/{model}/upload",
            data=form,
            files={"last.pt": content},
            headers={"x-api-key": KEY},
            timeout=60,
        ).raise_for_status()

    def stored() -> list[bytes]:
        return [path.read_bytes() for path in (tmp_path / "files").rglob("*") if path.is_file()]

    with running(tmp_path, api_key=KEY) as server:
        headers = {"x-api-key": KEY}
        model = requests.post(f"{server.url}/v1/models", json=WISH, headers=headers, timeout=60).json()["data"]["id"]
        upload(server, model, b"one")
        upload(server, model, b"two")
        assert sorted(stored()) == [b"one", b"two"]
    with running(tmp_path, api_key=KEY):
        assert stored() == [b"two"]


@pytest.fixture
def older_store(tmp_path: Path) -> Path:
    """A data folder of the first layout, which had no tables for HUB."""
    folder = tmp_path / "older"
    folder.mkdir()
    with closing(sqlite3.connect(folder / "platform.db")) as connection:
        connection.executescript(f"{store_schema.STEPS[0]} PRAGMA user_version=1;")
    return folder


def test_a_folder_of_the_first_layout_accepts_models_too(older_store: Path) -> None:
    with running(older_store, api_key=KEY) as server:
        answer = requests.post(f"{server.url}/v1/models", json=WISH, headers={"x-api-key": KEY}, timeout=60)
        assert answer.status_code == 201
