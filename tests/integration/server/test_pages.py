"""The pages: readable, and harmless whatever a training has reported."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from support.platform_api import Api, sha256

from uploader.server.running import RunningServer, running

EVIL = "<script>alert('x')</script>\" onload=\"y"


def page(server: RunningServer, path: str, **headers: str) -> requests.Response:
    return requests.get(server.url + path, headers=headers, timeout=100)


def test_a_training_is_shown_with_curves_checkpoints_console_and_state(server: RunningServer, api: Api) -> None:
    run = api.start(epochs=2)
    for epoch in (0, 1):
        metrics = {"train/box_loss": 2.0 - epoch, "val/box_loss": 3.0, "metrics/mAP50(B)": 0.5, "odd": None}
        api.event("epoch_end", {"epoch": epoch, "metrics": metrics}, modelId=run["modelId"])
    api.event("console_output", {"chunkId": 1, "content": "\x1b[34mline one\x1b[0m"}, modelId=run["modelId"])
    api.checkpoint(b"weights", run)
    overview = page(server, "/").text
    assert "local/demo/train" in overview
    assert "2 of 2" in overview
    shown = page(server, urlsplit(run["modelUrl"]).path).text
    assert shown.count("<svg") == 2  # the two losses share one
    assert shown.count("<polyline") == 3
    assert "line one" in shown
    assert "[34m" not in shown
    assert sha256(b"weights") in shown
    assert "running" in shown
    link = re.search(r'href="(http://[^"]*best\.pt[^"]*)"', shown)
    assert link is not None
    assert requests.get(link[1].replace("&amp;", "&"), timeout=100).content == b"weights"


def test_everything_reported_is_escaped(server: RunningServer, api: Api) -> None:
    run = api.start(EVIL, trainArgs={EVIL: EVIL}, environment={EVIL: EVIL}, device=EVIL)
    target = {"modelId": run["modelId"]}
    api.event("epoch_end", {"epoch": 0, "metrics": {EVIL: 1.0, f"train/{EVIL}": 1}}, **target)
    api.event("console_output", {"chunkId": EVIL, "content": EVIL}, **target)
    api.checkpoint(b"x", run, EVIL)
    results = {"results": {EVIL: EVIL}, "classNames": [EVIL], "plots": [{"type": EVIL}]}
    api.event("training_complete", results, **target)
    api.event("training_failed", {"error": EVIL}, **target)
    for path in ("/", urlsplit(run["modelUrl"]).path):
        shown = page(server, path).text
        assert "<script" not in shown
        assert not re.search(r"<[^>]*\sonload=", shown)
    assert "&lt;script&gt;" in shown


@pytest.mark.parametrize("path", ["/", "/style.css"])
def test_pages_allow_nothing_but_their_own_style(server: RunningServer, path: str) -> None:
    headers = page(server, path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"


def test_an_unknown_training_is_not_found(server: RunningServer) -> None:
    assert page(server, "/runs/local/demo/unknown").status_code == 404


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:80"},
        {"Host": "[::1].evil.example"},
        {"X-Forwarded-For": "10.0.0.1"},
        {"Forwarded": "for=10.0.0.1"},
        {"X-Forwarded-Proto": "https"},
        {"X-Real-IP": "10.0.0.1"},
        {"Via": "1.1 proxy"},
    ],
)
def test_the_pages_are_open_only_to_who_came_here_directly(server: RunningServer, headers: dict[str, str]) -> None:
    refused = page(server, "/", **headers)
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"].startswith("Basic ")
    password = base64.b64encode(f"me:{server.api_key}".encode()).decode()
    assert page(server, "/", Authorization=f"Basic {password}", **headers).status_code == 200


@pytest.mark.parametrize("host", ["localhost", "localhost:8765", "127.0.0.1:8765", "[::1]:8765"])
def test_names_of_this_machine_open_the_pages(server: RunningServer, host: str) -> None:
    assert page(server, "/", Host=host).status_code == 200


def test_no_more_epochs_are_shown_than_there_are_to_be(server: RunningServer, api: Api) -> None:
    run = api.start(epochs=4)
    for epoch in range(4):
        api.event("epoch_end", {"epoch": epoch, "metrics": {}}, modelId=run["modelId"])
    api.event("training_started", {"epochs": 3}, modelId=run["modelId"])
    for path in ("/", urlsplit(run["modelUrl"]).path):
        assert "3 of 3" in page(server, path).text
        assert "4 of 3" not in page(server, path).text


def hub_model(api: Api, name: str) -> str:
    made = api.post("/v1/models", {"meta": {"name": name}, "config": {"epochs": 3}}).json()
    model_id: str = made["data"]["id"]
    metrics = {"0": '{"train/box_loss": 2.0}', "1": '{"train/box_loss": 1.5, "<script>": 1}'}
    assert api.post(f"/v1/models/{model_id}", {"type": "metrics", "metrics": metrics}).status_code == 200
    return model_id


def test_models_of_hub_are_shown_with_their_status_and_curves(tmp_path: Path) -> None:
    now = [1_800_000_000.0]
    with running(tmp_path, api_key="k", clock=lambda: now[0]) as server:
        api = Api(server.url, "k")
        assert "HUB" not in page(server, "/").text
        path = f"/hub/{hub_model(api, 'exp-1')}"

        def shown() -> list[str]:
            """What stands on both pages, one after the other."""
            texts = [page(server, "/").text, page(server, path).text]
            assert all("exp-1" in text and "2 of 3" in text for text in texts)
            return [state for text in texts for state in re.findall(r'class="status (\w+)"', text)]

        assert shown() == ["disconnected"] * 2  # an older training, delivered by a drain that does not watch
        assert api.post(f"/v1/agent/heartbeat/models{path.removeprefix('/hub')}", {}).status_code == 200
        assert shown() == ["connected"] * 2
        assert 'http-equiv="refresh"' in page(server, path).text
        now[0] += 3600
        assert shown() == ["disconnected"] * 2
        form = {"epoch": "1", "type": "final", "map": "0.25"}
        upload = f"/v1/models{path.removeprefix('/hub')}/upload"
        assert api.request("POST", upload, data=form, files={"best.pt": b"weights"}).status_code == 200
        assert shown() == ["trained"] * 2
        text = page(server, path).text
        assert text.count("<svg") == 2
        assert sha256(b"weights") in text
        assert "<td>2</td><td>0.25</td>" in text
        link = re.search(r'href="(http://[^"]*best\.pt[^"]*)"', text)
        assert link is not None
        assert requests.get(link[1].replace("&amp;", "&"), timeout=100).content == b"weights"


def test_hub_pages_are_escaped_and_protected(server: RunningServer, api: Api) -> None:
    path = f"/hub/{hub_model(api, EVIL)}"
    for each in ("/", path):
        assert "<script" not in page(server, each).text
        assert page(server, each, Host="evil.example").status_code == 401
    assert "&lt;script&gt;" in page(server, path).text
    assert "default-src 'none'" in page(server, path).headers["Content-Security-Policy"]
    assert page(server, "/hub/unknown").status_code == 404


def test_the_identifier_of_a_hub_model_leads_to_its_page(server: RunningServer, api: Api) -> None:
    model = hub_model(api, "exp-1")
    identifier = f"/models/{model}"
    assert page(server, identifier).text == page(server, f"/hub/{model}").text
    assert page(server, identifier, Host="evil.example").headers["WWW-Authenticate"].startswith("Basic ")


def test_behind_a_path_prefix_every_url_has_it(server: RunningServer, api: Api) -> None:
    """With the header of a proxy that strips its prefix; invalid prefixes are ignored."""
    run = api.start()
    hub_model(api, "exp-1")
    for said, path in (("/yolo", "/yolo"), ("/a/b.c/", "/a/b.c"), ("//evil.example", ""), ("/../x", ""), ('/"', "")):
        headers = {"X-Forwarded-Prefix": said}
        upload = {"filename": "best.pt", "modelId": run["modelId"], "runId": run["runId"]}
        answer = api.request("POST", "/api/webhooks/models/upload", json=upload, headers=headers).json()
        assert all(
            url.startswith(f"{server.url}{path}/storage/") for url in (answer["uploadUrl"], answer["tus"]["create"])
        )
        shown = page(server, "/", Authorization=f"Bearer {server.api_key}", **headers).text
        links = re.findall(r'(?:href|src)="([^"]*)"', shown)
        assert len(links) == 3
        assert all(re.match(rf"{path}/(style|runs|hub)", link) for link in links)


@pytest.mark.parametrize("under", ["", "/yolo"])
def test_the_address_may_be_configured(tmp_path: Path, under: str) -> None:
    """For a proxy that sends no header, whether or not it strips its prefix."""
    with running(tmp_path, api_key="k", url="https://host.example/yolo") as server:
        api = Api(server.url + under, "k")
        assert api.start()["modelUrl"].startswith("https://host.example/yolo/runs/local/demo/")
        upload = api.post("/api/webhooks/models/upload", {"filename": "best.pt", "project": "demo", "name": "train"})
        url = upload.json()["uploadUrl"]
        assert url.startswith("https://host.example/yolo/storage/")
        put = url.replace("https://host.example/yolo", server.url + under)
        assert requests.put(put, data=b"weights", timeout=100).status_code == 200
        shown = page(server, under or "/", Authorization="Bearer k")
        assert 'href="/yolo/style.css"' in shown.text
        assert page(server, under or "/").status_code == 401  # whoever the proxy lets in
