"""The platform follows the order that clients send: an older message that arrives later changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.platform_api import EVENTS, UPLOAD, Api, put, sha256

from uploader.server.running import running
from uploader.server.storage.ordering import Order, read

ENVIRONMENT = {"environment": {"uploaderRun": "run"}}


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with running(tmp_path / "platform", api_key="key") as server:
        yield Api(server.url, server.api_key)


def send(api: Api, event: str, data: dict[str, Any], order: str | None, **target: str) -> dict[str, Any]:
    headers = {} if order is None else {"Uploader-Order": order}
    response = api.request("POST", EVENTS, json={"event": event, "data": data, **target}, headers=headers)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def span(first: int, last: int | None = None, generation: int = 1) -> str:
    session = f"session-{generation}"
    return f"{generation} {session} {first} {session} {first if last is None else last}"


def begin(api: Api) -> dict[str, str]:
    answer = send(api, "training_started", ENVIRONMENT, span(1), project="demo", name="train")
    return {"modelId": answer["modelId"]}


def chunk(number: int, *lines: str) -> dict[str, Any]:
    return {"chunkId": number, "content": "\n".join(lines), "lineCount": len(lines), "progress": {}}


def console(api: Api) -> list[str]:
    return [one["content"] for one in api.model()["consoleChunks"]]


def test_shorter_text_does_not_replace_longer(api: Api) -> None:
    target = begin(api)
    send(api, "console_output", chunk(2, "a", "b", "c"), span(2, 4), **target)
    for part in ((chunk(2, "a", "b"), span(2, 3)), (chunk(4, "c"), span(4))):
        assert "ignored" in send(api, "console_output", *part, **target)
    assert console(api) == ["a\nb\nc"]
    assert "ignored" not in send(api, "console_output", chunk(2, "a", "b", "c"), span(2, 4), **target)
    assert "ignored" not in send(api, "console_output", chunk(9, "d"), span(5), **target)
    assert console(api) == ["a\nb\nc", "d"]


def test_longer_text_replaces_its_parts(api: Api) -> None:
    target = begin(api)
    for number in (2, 3, 4):
        send(api, "console_output", chunk(number, f"line {number}"), span(number), **target)
    send(api, "console_output", chunk(2, "line 2", "line 3", "line 4"), span(2, 4), **target)
    assert console(api) == ["line 2\nline 3\nline 4"]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (span(9, generation=2), span(30), 1.0),
        (span(9), span(5), 1.0),
        (span(5), span(9), 2.0),
        (span(30), span(9, generation=2), 2.0),
        (None, span(9), 2.0),
        (span(9), None, 2.0),  # a client that tells none is taken as it comes
        (span(9), "nonsense", 2.0),
    ],
)
def test_an_older_epoch_does_not_replace_a_newer_one(
    api: Api, first: str | None, second: str | None, expected: float
) -> None:
    target = begin(api)
    for loss, order in ((1.0, first), (2.0, second)):
        answer = send(api, "epoch_end", {"epoch": 3, "metrics": {"loss": loss}}, order, **target)
    assert ("ignored" in answer) is (expected == 1.0)
    assert [result["metrics"]["loss"] for result in api.model()["trainResults"]] == [expected]


def test_an_older_state_does_not_replace_a_newer_one(api: Api) -> None:
    target = begin(api)
    resumed = send(api, "training_started", {**ENVIRONMENT, "epochs": 7}, span(1, generation=2), **target)
    send(api, "training_complete", {"results": {}}, span(50, generation=2), **target)
    for event, data, order in (
        ("training_failed", {"error": "old"}, span(99)),
        ("system_metrics", {"ram": 1}, span(98)),
        ("training_progress", {"epoch": 1}, span(97)),
    ):
        assert "ignored" in send(api, event, data, order, **target)
    again = send(api, "training_started", {**ENVIRONMENT, "epochs": 3}, span(1), **target)
    assert (again["runId"], "ignored" in again) == (resumed["runId"], True)
    model = api.model()
    assert (model["status"], model["epochs"], model.get("error")) == ("completed", 7, None)
    send(api, "training_failed", {"error": "again"}, span(9, generation=3), **target)
    assert api.model()["status"] == "failed"


def upload(api: Api, content: bytes, order: str | None, run: dict[str, Any]) -> None:
    headers = {} if order is None else {"Uploader-Order": order}
    wish = {"filename": "best.pt", "modelId": run["modelId"], "runId": run["runId"]}
    place = api.request("POST", UPLOAD, json=wish, headers=headers).json()
    assert put(place["uploadUrl"], content).status_code == 200
    saved = {"runId": run["runId"], "modelPath": place["gcsPath"], "uploadPath": place["uploadPath"]}
    send(api, "checkpoint_saved", saved, order, modelId=run["modelId"])


@pytest.mark.parametrize(
    ("orders", "expected"),
    [((span(9), span(5)), b"first"), ((span(5), span(9)), b"second"), ((None, span(5)), b"second")],
)
def test_older_weights_that_arrive_later_are_not_the_model(
    api: Api, orders: tuple[str | None, str], expected: bytes
) -> None:
    run = send(api, "training_started", ENVIRONMENT, span(1), project="demo", name="train")
    for content, order in zip((b"first", b"second"), orders, strict=True):
        upload(api, content, order, run)
    assert api.model()["file"]["sha256"] == sha256(expected)


def test_another_run_under_the_same_name_begins_anew(tmp_path: Path) -> None:
    """As servers of late 2025 have it, for which the name is the model."""
    with running(tmp_path / "platform", api_key="key", contract="2025") as server:
        api = Api(server.url, server.api_key)
        target = {"project": "demo", "name": "train"}
        for run, loss in (("one", 1.0), ("two", 2.0)):
            send(api, "training_started", {"environment": {"uploaderRun": run}}, span(1), **target)
            send(api, "epoch_end", {"epoch": 0, "metrics": {"loss": loss}}, span(9 - int(loss)), **target)
        assert api.model()["trainResults"][0]["metrics"] == {"loss": 2.0}


@pytest.mark.parametrize(
    "header",
    [None, "", "1 s 2 s", "1 s 2 t 3", "x s 2 s 3", "1 s 3 s 2", "-1 s 2 s 3", f"{2**20} s 2 s 3", f"1 s 2 s {2**40}"],
)
def test_a_header_that_tells_no_order_is_none(header: str | None) -> None:
    assert read(header) is None


def test_a_header_tells_where_a_message_belongs() -> None:
    assert read("2 s 17 s 21") == Order((2 << 40) + 21, "s", 17, 21)
