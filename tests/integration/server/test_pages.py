"""The pages: readable, and harmless whatever a training has reported."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from urllib.parse import quote, urlsplit

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
        api.event("epoch_end", {"epoch": epoch, "metrics": metrics, "system": {"cpu": 5}}, modelId=run["modelId"])
    api.event("console_output", {"chunkId": 1, "content": "\x1b[34mline one\x1b[0m"}, modelId=run["modelId"])
    api.event("console_output", {"chunkId": 2, "content": "line two"}, modelId=run["modelId"])
    api.checkpoint(b"weights", run)
    assert urlsplit(run["modelUrl"]).path == "/runs/local/demo/train"
    assert page(server, "/runs/local/demo/train").status_code == 200
    line, shown = api.listed(), api.shown()
    assert (line["epochs_done"], line["epochs_planned"], line["state"]) == (2, 2, "running")
    assert shown["epochs"]["values"] == {
        "train/box_loss": [2.0, 1.0],
        "val/box_loss": [3.0, 3.0],
        "metrics/mAP50(B)": [0.5, 0.5],
    }
    assert shown["system"]["values"] == {"cpu": [5, 5]}
    assert (shown["console"], "console_cut" in shown) == ("\x1b[34mline one\x1b[0m\nline two", False)
    assert page(server, "/data/console?key=local/demo/train").text == shown["console"]
    (checkpoint,) = shown["facts"]["checkpoints"]
    assert (checkpoint["name"], checkpoint["size"], checkpoint["sha256"]) == ("best.pt", 7, sha256(b"weights"))
    file = page(server, checkpoint["download"])
    assert (file.content, file.headers["Content-Disposition"]) == (b"weights", 'attachment; filename="best.pt"')


def test_what_is_known_of_a_training_is_told(api: Api) -> None:
    run = api.start(epochs=3, device="NVIDIA H200", trainArgs={"lr0": 0.1}, environment={"os": "Linux"})
    target = {"modelId": run["modelId"]}
    told = {"metrics": {"a": 1.0}, "fitness": 0.5, "nonFinite": {"b": "NaN"}, "values": {"optimizer": "AdamW"}}
    for epoch in range(2):
        api.event("epoch_end", {**told, "epoch": epoch, "fitness": 1 - epoch}, **target)
    api.event("training_started", {"trainArgs": {"lr0": 0.1}, "device": "NVIDIA H200"}, **target)
    api.event("training_failed", {"error": "CUDA out of memory"}, **target)
    said = {"description": "Cats", "license": "MIT", "metadata": {"tags": ["night"], "note": "look"}}
    path = "/api/models/local/demo/train"
    assert api.request("PATCH", path, json=said).ok
    assert api.post(f"{path}/exports", {"format": "onnx"}).ok
    shown = api.shown()
    line, facts = shown["line"], shown["facts"]
    assert (line["state"], line["trouble"], line["tags"]) == ("failed", "CUDA out of memory", ["night"])
    assert (facts["description"], facts["note"], facts["best"]) == ("Cats", "look", 0)
    assert (facts["arguments"], facts["actions"]) == ({"lr0": 0.1}, ["rename", "tags", "note", "delete"])
    others = [(each["epoch"], each["name"], each["value"]) for each in facts["others"]]
    assert others == [(number, *each) for number in (1, 0) for each in (("optimizer", "AdamW"), ("b", "NaN"))]
    labels = [each["label"] for each in facts["facts"]]
    for label in ("Started", "Resumed", "Ended", "Took since it was resumed", "An epoch took", "Newest arrived"):
        assert label in labels
    assert {"Device": "NVIDIA H200", "Licence": "MIT", "Conversions ordered": "onnx"}.items() <= api.facts().items()


def test_everything_reported_is_told_as_data_and_no_page_contains_it(server: RunningServer, api: Api) -> None:
    run = api.start(EVIL, trainArgs={EVIL: EVIL}, environment={EVIL: EVIL}, device=EVIL)
    target = {"modelId": run["modelId"]}
    api.event("epoch_end", {"epoch": 0, "metrics": {EVIL: 1.0, f"train/{EVIL}": 1}}, **target)
    api.event("console_output", {"chunkId": EVIL, "content": EVIL}, **target)
    api.checkpoint(b"x", run, EVIL)
    results = {"results": {EVIL: EVIL}, "classNames": [EVIL], "plots": [{"type": EVIL}]}
    api.event("training_complete", results, **target)
    api.event("training_failed", {"error": EVIL}, **target)
    path = urlsplit(run["modelUrl"]).path
    for each in ("/", path, f"/runs/{quote(EVIL)}"):
        assert "alert(" not in page(server, each).text.replace("&lt;script&gt;alert(", "")
    for each in ("run", "runs", "pictures"):
        answer = page(server, f"/data/{each}?key={path.removeprefix('/runs/')}")
        assert (answer.headers["Content-Type"], EVIL[:8] in answer.text) == ("application/json", True)
    assert (
        page(server, f"/data/console?key={path.removeprefix('/runs/')}")
        .headers["Content-Type"]
        .startswith("text/plain")
    )


@pytest.mark.parametrize("path", ["/", "/compare", "/runs/local/demo/train"])
def test_pages_allow_nothing_but_their_own_files(server: RunningServer, path: str) -> None:
    headers = page(server, path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"


def test_an_unknown_training_is_not_found(server: RunningServer) -> None:
    answer = page(server, "/runs/local/demo/unknown")
    assert answer.status_code == 404
    assert '<a href="/">All runs</a>' in answer.text


def test_a_browser_is_told_of_an_unknown_path_by_a_page_and_a_program_by_json(server: RunningServer) -> None:
    key = {"Authorization": f"Bearer {server.api_key}"}
    found = page(server, "/no/such", Accept="text/html,*/*", **key)
    assert (found.status_code, found.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert '<html lang="en"' in found.text
    assert '<a href="/">All runs</a>' in found.text
    for path, accepted in (("/no/such", "*/*"), ("/api/no/such", "text/html")):
        answer = page(server, path, Accept=accepted, **key)
        assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/json")


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


def test_no_more_epochs_are_shown_than_there_are_to_be(api: Api) -> None:
    run = api.start(epochs=4)
    for epoch in range(4):
        api.event("epoch_end", {"epoch": epoch, "metrics": {}}, modelId=run["modelId"])
    cursor = api.shown()["cursor"]
    api.event("training_started", {"epochs": 3}, modelId=run["modelId"])
    for line in (api.listed(), api.shown()["line"]):
        assert (line["epochs_done"], line["epochs_planned"]) == (3, 3)
    news = api.shown(since=cursor)
    assert (news["is_whole"], news["epochs"]["at"]) == (True, [0, 1, 2])  # a page that is open forgets the fourth


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
        assert api.get("/data/runs")["count"] == 0
        model = hub_model(api, "exp-1")
        key = f"hub/{model}"

        def shown() -> list[str]:
            """What the list and the page say of its state."""
            lines = [api.listed(key), api.shown(key)["line"]]
            assert all((each["name"], each["epochs_done"], each["epochs_planned"]) == ("exp-1", 2, 3) for each in lines)
            return [each["state"] for each in lines]

        assert shown() == ["disconnected"] * 2  # an older training, delivered by a drain that does not watch
        assert api.post(f"/v1/agent/heartbeat/models/{model}", {}).status_code == 200
        assert shown() == ["connected"] * 2
        now[0] += 3600
        assert shown() == ["disconnected"] * 2
        form = {"epoch": "1", "type": "final", "map": "0.25"}
        upload = f"/v1/models/{model}/upload"
        assert api.request("POST", upload, data=form, files={"best.pt": b"weights"}).status_code == 200
        assert shown() == ["trained"] * 2
        told = api.shown(key)
        assert told["epochs"]["values"] == {"train/box_loss": [2.0, 1.5], "<script>": [None, 1]}
        (weights,) = told["facts"]["checkpoints"]
        assert (weights["sha256"], weights["epoch"], weights["state"]) == (sha256(b"weights"), 1, "mAP 0.25")
        assert page(server, weights["download"]).content == b"weights"


def test_the_pages_of_hub_are_protected(server: RunningServer, api: Api) -> None:
    path = f"/hub/{hub_model(api, EVIL)}"
    for each in ("/", path, "/data/runs"):
        assert page(server, each, Host="evil.example").status_code == 401
    assert page(server, "/hub/unknown").status_code == 404


@pytest.mark.parametrize("start", ["/hub", "/models"])
@pytest.mark.parametrize("prefix", ["", "/yolo"])
def test_the_addresses_of_a_hub_model_lead_to_its_page(
    server: RunningServer, api: Api, start: str, prefix: str
) -> None:
    model = hub_model(api, "exp-1")
    led = api.request("GET", f"{start}/{model}", headers={"X-Forwarded-Prefix": prefix})
    assert (led.status_code, led.headers["Location"]) == (302, f"{prefix}/runs/hub/{model}")
    assert page(server, f"/runs/hub/{model}").status_code == 200
    assert page(server, f"{start}/{model}", Host="evil.example").headers["WWW-Authenticate"].startswith("Basic ")


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
        links = [each for each in re.findall(r'(?:href|src)="([^"#]*)"', shown) if not each.startswith("data:")]
        assert len(links) > 2
        assert all(re.match(rf"{path}/(\w|$)", link) for link in links)
        assert f'data-prefix="{path}"' in shown  # to which the scripts add the paths that they ask for


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
        assert 'href="/yolo/assets/style.css"' in shown.text
        assert page(server, f"{under}/assets/style.css", Authorization="Bearer k").status_code == 200
        assert page(server, f"{under}/data/runs", Authorization="Bearer k").json()["count"] == 1
        assert page(server, under or "/").status_code == 401  # whoever the proxy lets in
        for mistyped in ("/compare/", "/runs", "/data/runs/"):
            told = page(server, under + mistyped, Authorization="Bearer k", Accept="text/html")
            assert (told.status_code, told.history) == (404, []), mistyped  # and leads nowhere past the prefix
