"""What is listed beside a model is read back by requests of its own, and what a server does not list is untold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from support.contract import KEY
from support.scripted_server import Reply, ScriptedServer, scripted_server

from uploader.errors import DeliveryError, Transient
from uploader.platforms.base import RunIdentity
from uploader.platforms.http.transport import Transport
from uploader.platforms.reading_back import ItemKind, Place, Shown
from uploader.platforms.ultralytics.client import UltralyticsPlatform

MODEL = "/api/models/me/demo/train"
PLACES: dict[ItemKind, Place] = {
    "media": ("media", "0 a"),
    "conversion": ("conversion", "onnx imgsz=640 iou=1"),
    "dataset": ("dataset", "cars"),
}
ORDER = {"id": "e-1", "format": "onnx", "args": {"iou": 1.0, "imgsz": 640.0}, "createdAt": "2026-01-01T00:00:00Z"}


@pytest.fixture
def server() -> Iterator[ScriptedServer]:  # type: ignore[override]
    with scripted_server() as running:
        yield running


def read(server: ScriptedServer, *kinds: ItemKind, shows: tuple[str, ...] = ("media",)) -> Shown:
    identity = RunIdentity("uuid-1", "demo", "train", {"modelId": "m-1", "shows": [*shows]})
    with closing(UltralyticsPlatform(server.url, KEY, Transport(answer_seconds=60))) as client:
        return client.read_lists(identity, Shown(lists=MODEL), [PLACES[kind] for kind in kinds])


def answers(**by_end: Any) -> Any:
    """Answer a request by the end of its path; the account is `me`."""
    known = {"summary": {"username": "me"}, **by_end}
    return lambda request: Reply(body=known[request.path.partition("?")[0].rpartition("/")[2]])


def test_only_lists_that_something_is_expected_of_are_asked_for(server: ScriptedServer) -> None:
    server.script = answers(exports={"exports": []})
    assert "dataset" not in read(server, "conversion").fields
    assert [each.path for each in server.requests] == [f"{MODEL}/exports"]


def test_an_order_is_known_however_its_numbers_are_written_and_one_that_failed_comes_last(
    server: ScriptedServer,
) -> None:
    server.script = answers(exports={"exports": [{**ORDER, "status": "failed"}, {**ORDER, "status": "queued"}]})
    found = read(server, "conversion").items["conversion", "onnx imgsz=640 iou=1"]
    assert [each["status"] for each in found] == ["queued", "failed"]


def test_a_dataset_tells_its_state_and_its_files(server: ScriptedServer) -> None:
    known = {"id": "d-1", "status": "ready", "metadata": {"offlineUploader": {"ab": "cars.zip"}}}
    server.script = answers(cars={"dataset": known})
    assert read(server, "dataset").items["dataset", "cars"] == [{"status": "ready", "files": {"ab": "cars.zip"}}]


def test_an_image_is_known_by_its_digest_also_where_a_server_sends_its_file(server: ScriptedServer) -> None:
    medium = {"name": "a", "step": 0, "form": "image", "timestamp": "2026-01-01T00:00:00Z"}
    server.script = answers(media={"media": [{**medium, "data": "YQ=="}]})
    [whole] = read(server, "media").items["media", "0 a"]
    server.script = answers(media={"media": [{**medium, "sha256": whole["content"]["sha256"]}]})
    assert [whole] == read(server, "media").items["media", "0 a"]
    assert server.requests[0].path == f"{MODEL}/media?files=sha256"


def test_a_platform_that_shows_no_media_is_not_asked_for_them(server: ScriptedServer) -> None:
    shown = read(server, "media", shows=())
    assert "media" in shown.untold
    assert server.requests == []


@pytest.mark.parametrize("status", [403, 404, 405, 501])
@pytest.mark.parametrize("kind", ["media", "conversion"])
def test_a_list_that_a_server_does_not_have_or_show_is_untold(
    server: ScriptedServer, kind: ItemKind, status: int
) -> None:
    server.script = lambda _: Reply(status, {"error": "no"})
    shown = read(server, kind)
    assert (kind in shown.fields, "it shows none of them" in shown.untold[kind]) == (False, True)


def test_a_dataset_that_is_not_there_is_missing(server: ScriptedServer) -> None:
    server.script = lambda request: (
        Reply(body={"username": "me"}) if request.path.endswith("summary") else Reply(404, {"error": "no dataset"})
    )
    shown = read(server, "dataset")
    assert ("dataset" in shown.fields, shown.items) == (True, {})


@pytest.mark.parametrize("kind", [*PLACES])
def test_what_cannot_be_read_now_is_an_error(server: ScriptedServer, kind: ItemKind) -> None:
    server.script = lambda _: Reply(503, {"error": "later"})
    with pytest.raises(DeliveryError) as caught:
        read(server, kind)
    assert isinstance(caught.value, Transient)
