"""Names in paths: none leads to another file, and none makes the server fail."""

from __future__ import annotations

import http.client
import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import requests
from starlette.routing import Route
from support.platform_api import EVENTS, UPLOAD, Api

from uploader.dashboard import data_routes, page_routes
from uploader.server.api import hub_endpoints, readback, storage_endpoints, tus_endpoints, webhooks
from uploader.server.pages import hub_addresses
from uploader.server.running import RunningServer, running
from uploader.server.signing import Signer

EVIL = [
    "..",
    "%2e%2e",
    "..%2f..%2fapi-key",
    "%2e%2e%2f%2e%2e%2fsigning-secret",
    "%2fetc%2fpasswd",
    "..%5c..%5capi-key",
    "%00",
    "a%00b",
    "%ff",
    "%ed%a0%80",
    "x" * 300,
    "x" * 8000,
]
ROUTES = [
    *webhooks.routes,
    *hub_endpoints.routes,
    *storage_endpoints.routes,
    *tus_endpoints.routes,
    *readback.routes,
    *hub_addresses.routes,
    *(each for each in page_routes.routes if isinstance(each, Route)),
    *data_routes.routes,
]
NAMED = [(method, route.path) for route in ROUTES for method in sorted(route.methods or ()) if "{" in route.path]


def ask(server: RunningServer, method: str, path: str) -> tuple[int, bytes]:
    """Send a request with exactly this path, with the key and a valid signature."""
    parts = urlsplit(server.url)
    assert parts.hostname is not None
    signer = Signer((server.data / "signing-secret").read_text().strip().encode(), 900)
    signed_for = "TUS" if path.startswith("/storage/transfers/") else method
    query = urlsplit(signer.url_until("", "GET" if signed_for == "HEAD" else signed_for, unquote(path), 2**40)).query
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=100)
    try:
        headers = {"Authorization": f"Bearer {server.api_key}", "Tus-Resumable": "1.0.0", "Upload-Length": "1"}
        connection.request(method, f"{path}?{query}", headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def tree(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if not path.name.startswith("platform.db")}


def test_every_route_is_tested(server: RunningServer) -> None:
    assert all(isinstance(route, Route) for route in ROUTES)
    assert len(NAMED) > 20


@pytest.mark.parametrize(("method", "route"), NAMED)
def test_no_name_leads_to_another_file(server: RunningServer, tmp_path: Path, method: str, route: str) -> None:
    before = tree(tmp_path)
    secrets = [server.api_key.encode(), (server.data / "signing-secret").read_bytes().strip(), str(tmp_path).encode()]
    for name in re.findall(r"\{\w+(?::\w+)?\}", route):
        for evil in EVIL:
            path = re.sub(r"\{\w+(?::\w+)?\}", "1", route.replace(name, evil))
            status, body = ask(server, method, path)
            is_empty_list = (
                status == 200 and route == "/api/models/{owner}/{project}" and body[:12] in (b'{"models":[]', b"")
            )
            told = (method, status) == ("OPTIONS", 204)
            assert 400 <= status < 500 or is_empty_list or told, (path[:80], status, body)
            assert not any(secret in body for secret in secrets)
    assert tree(tmp_path) == before


HALF_A_PAIR = "\ud800"  # JSON can carry it, UTF-8 cannot


@pytest.mark.parametrize("value", [HALF_A_PAIR, "a\x00b", "x" * 100_000, "../../x"])
def test_names_in_bodies_do_not_lead_to_another_file_either(
    server: RunningServer, api: Api, tmp_path: Path, value: str
) -> None:
    run = api.start()
    before = tree(tmp_path)
    target = {"modelId": run["modelId"]}
    bodies = [
        (
            EVENTS,
            {"event": "training_started", "data": {"device": value}, "project": "demo" + value, "name": "n" + value},
        ),
        (EVENTS, {"event": "epoch_end", "data": {"epoch": 1}, "modelId": value}),
        (EVENTS, {"event": "console_output", "data": {"chunkId": value, "content": value}, **target}),
        (EVENTS, {"event": "checkpoint_saved", "data": {"uploadPath": value}, **target}),
        (EVENTS, {"event": "checkpoint_saved", "data": {"modelPath": value}, **target}),
        (EVENTS, {"event": "training_failed", "data": {"error": value, "code": value}, **target}),
        (EVENTS, {"event": "training_complete", "data": {"results": {"modelPath": value}}, **target}),
        (UPLOAD, {"filename": value, "runId": run["runId"], **target}),
        ("/v1/models", {"meta": {"name": value}, "config": {value: value}}),
    ]
    for path, body in bodies:
        assert api.post(path, body).status_code < 500, (path, body)
    for path in (
        "/",
        "/data/runs",
        "/api/models/local/demo",
        f"/api/models/local/demo/{run['modelSlug']}",
        "/v1/models",
    ):
        assert api.request("GET", path).status_code == 200
    assert tree(tmp_path) == before


def test_everything_in_the_folder_is_private(tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        with running(tmp_path / "new" / "data") as server:
            api = Api(server.url, server.api_key)
            run = api.start()
            api.checkpoint(b"x", run)
            ticket = api.prepare(modelId=run["modelId"], runId=run["runId"])
            headers = {"Tus-Resumable": "1.0.0", "Upload-Length": "1"}
            assert requests.post(ticket["tus"]["create"], headers=headers, timeout=100).status_code == 201
            modes = {path.name: path.stat().st_mode & 0o077 for path in [server.data, *server.data.rglob("*")]}
    finally:
        os.umask(umask)
    assert {name for name, others in modes.items() if others} == set()
    assert {"server.lock", "platform.db-wal", "api-key"} <= set(modes)


def test_an_answer_about_a_failure_shows_no_path_and_no_server(
    server: RunningServer, api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    run = api.start()
    ticket = api.prepare(modelId=run["modelId"], runId=run["runId"])
    (server.data / "files").rmdir()
    failed = requests.put(ticket["uploadUrl"], data=b"x", timeout=100)
    assert (failed.status_code, list(failed.json())) == (500, ["error"])
    assert str(server.data) not in failed.text
    assert "Traceback" not in failed.text
    assert urlsplit(ticket["uploadUrl"]).query not in caplog.text
    for answer in (failed, api.request("GET", "/"), api.request("GET", "/unknown")):
        assert not {"server", "x-powered-by"} & {name.lower() for name in answer.headers}
