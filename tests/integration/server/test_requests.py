"""Invalid requests, and who may send requests."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from support.platform_api import EVENTS, UPLOAD, Api

from uploader.server.api.bodies import MAX_JSON
from uploader.server.data_folder import FolderInUseError
from uploader.server.running import RunningServer, running


def test_without_the_key_nothing_is_answered(server: RunningServer) -> None:
    for path in (EVENTS, "/api/models/local/demo", "/api/anything", "/anything", "/v1/models"):
        for authorization in ("", "Bearer", "Bearer wrong", f"Basic {server.api_key}", "Bearer \xe9"):
            answer = requests.get(server.url + path, headers={"Authorization": authorization}, timeout=100)
            assert (answer.status_code, "error" in answer.json()) == (401, True)


def test_the_key_may_be_the_password_of_a_browser(server: RunningServer) -> None:
    answer = requests.get(f"{server.url}/api/models/local/demo", auth=("anyone", server.api_key), timeout=100)
    assert answer.status_code == 200


def test_what_a_browser_sends_by_itself_changes_nothing(server: RunningServer) -> None:
    started = {"event": "training_started", "project": "demo", "name": "t", "data": {}}
    answer = requests.post(server.url + EVENTS, json=started, auth=("anyone", server.api_key), timeout=100)
    assert answer.status_code == 401
    assert Api(server.url, server.api_key).get("/api/models/local/demo")["models"] == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://HOST"}, 200),
        ({"Sec-Fetch-Mode": "cors"}, 200),  # as programs under Node.js send it
    ],
)
@pytest.mark.parametrize("kind", ["text/plain", "application/json"])
def test_a_page_of_another_site_changes_nothing(api: Api, headers: dict[str, str], status: int, kind: str) -> None:
    place = urlsplit(api.url).netloc
    said = {name: value.replace("HOST", place) for name, value in headers.items()}
    body = b'{"event": "training_started", "project": "demo", "name": "t"}'
    answer = api.request("POST", EVENTS, data=body, headers={**said, "Content-Type": kind})
    assert answer.status_code == status
    assert len(api.get("/api/models/local/demo")["models"]) == (status == 200)


@pytest.mark.parametrize("inside", [False, True])
def test_json_that_needs_too_much_memory_is_not_parsed(api: Api, inside: bool) -> None:
    bomb = b"[" + b"[]," * 6_000_000 + b"[]]"
    if inside:  # as HUB has it: JSON texts in JSON
        model = api.post("/v1/models", {}).json()["data"]["id"]
        texts = {
            str(number): json.dumps({"x": "[]" * 9})[:-1] + ', "y": [' + "[]," * 300_000 + "[]]}"
            for number in range(20)
        }
        answer = api.post(f"/v1/models/{model}", {"type": "metrics", "metrics": texts})
    else:
        answer = api.request("POST", EVENTS, data=bomb)
    assert (answer.status_code, "error" in answer.json()) == (413, True)


def test_a_key_is_generated_once_and_kept_private(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        key = server.api_key
    assert (tmp_path / "api-key").stat().st_mode & 0o777 == 0o600
    with running(tmp_path) as server:
        assert server.api_key == key
        assert key not in repr(server)
        assert Api(server.url, key).start()["received"] is True


def test_two_servers_cannot_share_a_folder(tmp_path: Path) -> None:
    with running(tmp_path), pytest.raises(FolderInUseError, match="in use"), running(tmp_path):
        pass


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[NaN]", b'{"a": Infinity}', b"[" * 100_000])
def test_a_body_that_is_not_json_is_malformed(api: Api, body: bytes) -> None:
    answer = api.request("POST", EVENTS, data=body)
    assert (answer.status_code, "error" in answer.json()) == (400, True)


@pytest.mark.parametrize(
    "body",
    [
        [],
        "text",
        {},
        {"event": "unknown", "project": "demo"},
        {"event": 1, "project": "demo"},
        {"event": "epoch_end", "data": {"epoch": 0}},
        {"event": "training_started", "data": [], "project": "demo"},
        {"event": "training_started", "data": {}, "project": 1},
        {"event": "training_started", "data": {}, "project": "///"},
        {"event": "training_started", "data": {}, "project": "demo", "name": ["x"]},
        {"event": "training_started", "data": {"epochs": "many"}, "project": "demo"},
        {"event": "training_started", "data": {"trainArgs": "text"}, "project": "demo"},
    ],
)
def test_wrong_types_are_refused(api: Api, body: object) -> None:
    answer = api.post(EVENTS, body)
    assert (answer.status_code, "error" in answer.json()) == (422, True)


@pytest.mark.parametrize(
    ("event", "data"),
    [
        ("epoch_end", {}),
        ("epoch_end", {"epoch": "1"}),
        ("epoch_end", {"epoch": True}),
        ("epoch_end", {"epoch": 1.5}),
        ("epoch_end", {"epoch": 2**63}),
        ("epoch_end", {"epoch": 0, "metrics": [1]}),
        ("console_output", {"content": "no id"}),
        ("console_output", {"chunkId": 1}),
        ("console_output", {"chunkId": [], "content": "x"}),
        ("checkpoint_saved", {}),
        ("checkpoint_saved", {"uploadPath": 1}),
        ("training_complete", {"results": []}),
        ("training_complete", {"plots": {}}),
        ("training_complete", {"classNames": "box"}),
    ],
)
def test_wrong_event_data_is_refused_and_changes_nothing(api: Api, event: str, data: dict[str, object]) -> None:
    run = api.start()
    before = api.model()
    assert api.post(EVENTS, {"event": event, "data": data, "modelId": run["modelId"]}).status_code == 422
    assert api.model() == before


def test_a_number_beyond_json_is_refused(api: Api) -> None:
    run = api.start()
    body = f'{{"event": "epoch_end", "data": {{"epoch": 0, "fitness": 1e999}}, "modelId": "{run["modelId"]}"}}'
    assert api.request("POST", EVENTS, data=body.encode()).status_code == 422
    assert api.model()["trainResults"] == []


def test_a_body_above_the_limit_is_refused(api: Api) -> None:
    block = b" " * 2**20
    unannounced = (block for _ in range(MAX_JSON // len(block) + 1))
    assert api.request("POST", EVENTS, data=unannounced).status_code == 413


def test_an_announced_size_above_the_limit_is_refused_at_once(server: RunningServer) -> None:
    parts = urlsplit(server.url)
    assert parts.hostname is not None
    with socket.create_connection((parts.hostname, parts.port), timeout=100) as connection:
        head = f"POST {UPLOAD} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {server.api_key}\r\n"
        connection.sendall(f"{head}Content-Length: {MAX_JSON + 1}\r\n\r\n".encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_unknown_paths_and_methods_are_answered_in_json(api: Api) -> None:
    unknown = api.request("GET", "/api/unknown")
    assert (unknown.status_code, unknown.json()) == (404, {"error": "Not Found"})
    assert api.request("GET", EVENTS).status_code == 405


@pytest.mark.parametrize("limit", ["x", "-1", "9" * 30])
def test_a_limit_that_is_not_a_number_is_refused(api: Api, limit: str) -> None:
    assert api.request("GET", f"/api/models/local/demo?limit={limit}").status_code == 422


def test_no_folder_is_listed_and_no_path_leads_out(server: RunningServer, api: Api) -> None:
    (server.data / "datasets" / "local").mkdir(parents=True)
    (server.data / "outside.ndjson").touch()
    paths = [
        "/storage/",
        "/storage/files/",
        "/storage/datasets/local/",
        "/storage/datasets/../api-key.ndjson",
        "/storage/datasets/..%2F../api-key.ndjson",
        "/api/datasets/../outside/export",
        "/api/datasets/%2e%2e/outside/export",
        "/api/datasets/%2e%2e/%2e%2e%2fplatform/export",
        "/api/datasets/local/..%2f..%2fsigning-secret/export",
        "/runs/../../signing-secret",
        "/assets/../../../storage/secret_files.py",
    ]
    for path in paths:
        parts = urlsplit(server.url)
        assert parts.hostname is not None
        with socket.create_connection((parts.hostname, parts.port), timeout=100) as connection:
            head = f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {api.key}\r\n"
            connection.sendall(f"{head}Connection: close\r\n\r\n".encode())
            assert connection.recv(4096)[9:12] in (b"403", b"404"), path
