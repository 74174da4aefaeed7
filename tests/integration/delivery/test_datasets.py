"""Datasets that are wanted on a platform: uploaded from where they are, taken in once, and named by the model."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import CliRunner
from support.asking import asked
from support.journals import IN_A_FILE, rows
from support.platform_api import Api
from support.recordings import KEY, Recordings
from support.scripted_server import Reply, Request, in_front_of, scripted_server

from uploader.__main__ import main
from uploader.by_address import resolve_platform_uri
from uploader.delivery.timing import Timing
from uploader.errors import SettingsError
from uploader.intents import Wanted, upload_dataset
from uploader.server.running import RunningServer, running

ON_BOTH_ENGINES = True
QUICK = Timing(first_wait=0.01, shortest_wait=0.01)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:  # type: ignore[override]
    with running(tmp_path / "platform", api_key=KEY, idempotency=False) as started:
        yield started


@pytest.fixture
def api(server: RunningServer) -> Api:
    return Api(server.url, KEY)


def listed(folder: Path, *images: str, name: str = "cars.ndjson", note: str = "") -> Path:
    lines: list[dict[str, Any]] = [{"type": "dataset", "task": "detect"}]
    lines += [{"type": "image", "file": each, "split": "train", "note": note} for each in images]
    file = folder / name
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return file


def want(journals: Recordings, file: Path, **options: Any) -> Wanted:
    with asked(journals) as folder:
        return upload_dataset("train", file, journal=folder, **options)


def images(api: Api, name: str = "cars") -> dict[str, str]:
    """Return what the platform gives of a dataset: its images, and the note of each."""
    url = api.get(f"/api/datasets/local/{name}/export")["downloadUrl"]
    records = [json.loads(line) for line in requests.get(url, timeout=60).text.splitlines()]
    return {record["file"]: record["note"] for record in records[1:]}


def named(api: Api) -> dict[str, Any]:
    found: dict[str, Any] = api.model()["metadata"]["dataset"]
    return found


def dead(journals: Recordings) -> list[str]:
    query = "SELECT last_error FROM deliveries WHERE kind = 'dataset' AND state = 'dead'"
    return [why for (why,) in rows(journals.journal.path, query)]


def test_it_is_uploaded_by_the_drain_and_named_by_the_model(journals: Recordings, api: Api, tmp_path: Path) -> None:
    journals.whole()
    for _ in range(2):  # said twice
        with asked(journals) as folder:
            command = ["dataset", "train", str(listed(tmp_path, "a.png", "b.png")), "--journal", str(folder)]
            result = CliRunner().invoke(main, command)
        assert result.exit_code == 0, result.output
    assert journals.drain(api.url).exit_code == 0
    assert [*images(api)] == ["a.png", "b.png"]
    assert {name: named(api)[name] for name in ("owner", "dataset", "version")} == {
        "owner": "local", "dataset": "cars", "version": 1,
    }  # fmt: skip
    shown = CliRunner().invoke(main, ["show", "train", "--journal", str(journals.journal.place)]).output
    assert "dataset cars" in shown


def test_the_sdk_reads_what_was_uploaded(journals: Recordings, api: Api, tmp_path: Path) -> None:
    sdk = pytest.importorskip("ultralytics_platform", reason="the SDK needs Python 3.11")
    journals.whole()
    want(journals, listed(tmp_path, "a.png"), task="segment")
    assert journals.drain(api.url).exit_code == 0
    with sdk.Platform(api_key=KEY, base_url=api.url, max_retries=0) as client:
        found = client.datasets.retrieve("local", "cars")["dataset"]
        assert (found["task"], found["splits"]["train"], found["status"]) == ("segment", 1, "ready")
        assert client.datasets.create_export("local", "cars") == {"version": 1, "reused": True}


def test_an_archive_is_kept_as_it_is(
    journals: Recordings, api: Api, server: RunningServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journals.whole()
    archive = tmp_path / "cars.zip"
    archive.write_bytes(b"PK" + bytes(700_000))  # more than one chunk
    want(journals, archive, name="Other Cars")
    assert journals.drain(api.url).exit_code == 0
    sha256 = named(api)["sha256"]
    assert named(api)["dataset"] == "other-cars"
    assert (server.data / "files" / sha256[:2] / sha256).read_bytes() == archive.read_bytes()
    monkeypatch.setenv("ULTRALYTICS_PLATFORM_URL", server.url)
    monkeypatch.setenv("ULTRALYTICS_API_KEY", KEY)
    with pytest.raises(FileNotFoundError, match=r"without a list .* upload one \(\.ndjson\)"):
        resolve_platform_uri("ul://local/datasets/other-cars")


def test_what_the_dataset_has_already_stays_as_it_is(journals: Recordings, api: Api, tmp_path: Path) -> None:
    journals.whole()
    want(journals, listed(tmp_path, "a.png", note="first"))
    assert journals.drain(api.url).exit_code == 0
    want(journals, listed(tmp_path, "a.png", "b.png", note="second"))
    assert journals.drain(api.url).exit_code == 0
    assert images(api) == {"a.png": "first", "b.png": "second"}
    assert named(api)["version"] == 2


def test_lost_answers_take_it_in_once(journals: Recordings, api: Api, tmp_path: Path) -> None:
    journals.whole()
    want(journals, listed(tmp_path, "a.png", "b.png"))
    behind, lost = in_front_of(api.url), []

    def script(request: Request) -> Reply:
        reply, what = behind(request), f"{request.method} {request.path.partition('?')[0]}"
        is_ours = "/datasets" in what or "/api/upload" in what
        if is_ours and request.method != "PUT" and what not in lost:
            lost.append(what)
            return Reply(reset=True)
        return reply

    with scripted_server(script) as between:
        assert journals.drain(between.url, timing=QUICK, max_time=600.0).exit_code == 0
    assert len(lost) == 6, lost
    assert [*images(api)] == ["a.png", "b.png"]
    assert named(api)["version"] == 1


def test_it_is_uploaded_once_however_long_it_is_taken_in(
    journals: Recordings, api: Api, server: RunningServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uploader.platforms.ultralytics.dataset_upload._POLL_SECONDS", 0.0)
    journals.whole()
    want(journals, listed(tmp_path, "a.png"))
    marker = server.data / "datasets" / "local" / "cars.processing"
    marker.parent.mkdir(parents=True)
    marker.touch()
    behind, done, polled = in_front_of(api.url), [], []

    def script(request: Request) -> Reply:
        if request.path.endswith("/ingest"):
            done.append(request)
        elif done and request.method == "GET" and request.path.endswith("/datasets/local/cars"):
            polled.append(request)
            if len(polled) == 3:
                marker.unlink()
        return behind(request)

    with scripted_server(script) as between:
        assert journals.drain(between.url, timing=QUICK, max_time=600.0).exit_code == 0
    assert (len(done), len(polled)) == (1, 3)
    assert named(api)["version"] == 1


@pytest.mark.once_on_postgres
@pytest.mark.parametrize("content", [None, b"other"])
def test_a_file_that_is_gone_or_another_one_is_named(
    journals: Recordings, api: Api, tmp_path: Path, content: bytes | None
) -> None:
    journals.whole()
    file = listed(tmp_path, "a.png")
    before = file.read_bytes()
    want(journals, file)
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    assert journals.drain(api.url).exit_code == 4
    [why] = dead(journals)
    assert str(file) in why
    assert "put it back as it was" in why
    file.write_bytes(before)
    journals.journal.retry()
    assert journals.drain(api.url).exit_code == 0
    assert [*images(api)] == ["a.png"]


def test_dead_letters_are_listed_each_with_its_own_reason(journals: Recordings, api: Api, tmp_path: Path) -> None:
    journals.whole()
    gone, changed = listed(tmp_path, "a.png", name="gone.ndjson"), listed(tmp_path, "a.png", name="changed.ndjson")
    for file in (changed, gone):
        want(journals, file)
    changed.write_text("other", "utf-8")
    gone.unlink()
    assert journals.drain(api.url).exit_code == 4
    shown = CliRunner().invoke(main, ["status", "train", "--journal", str(journals.journal.place)]).output
    told = " ".join(shown.split())
    assert re.search(rf"\(dataset\): {changed} is not what it was: the file \w+ has 5 bytes instead of", told), shown
    assert re.search(rf"; \d+ \(dataset\): the dataset's file {gone} is not there", told), shown


def test_a_platform_without_datasets_refuses_it_for_good(journals: Recordings, api: Api, tmp_path: Path) -> None:
    journals.whole()
    want(journals, listed(tmp_path, "a.png"))
    behind = in_front_of(api.url)
    with scripted_server(
        lambda one: Reply(501, {"error": "not here"}) if "/datasets" in one.path else behind(one)
    ) as between:
        assert journals.drain(between.url).exit_code == 4
    assert "does nothing of this kind" in dead(journals)[0]


def test_what_the_storage_signed_is_sent_along(journals: Recordings, api: Api, tmp_path: Path) -> None:
    journals.whole()
    want(journals, listed(tmp_path, "a.png"))
    behind, sent = in_front_of(api.url), []

    def script(request: Request) -> Reply:
        reply = behind(request)
        if request.path == "/api/upload/signed-url":
            told = json.loads(reply.body)
            url = told["uploadUrl"].replace(api.url, f"http://{request.headers['host']}")
            return Reply(body={**told, "uploadUrl": url, "headers": {"x-goog-if-generation-match": "0"}})
        if request.method == "PUT" and "dataset-files" in request.path:
            sent.append(request.headers.get("x-goog-if-generation-match"))
        return reply

    with scripted_server(script) as between:
        assert journals.drain(between.url).exit_code == 0
    assert sent == ["0"]


@IN_A_FILE
def test_what_is_no_file_for_a_dataset_is_refused_at_once(journals: Recordings, tmp_path: Path) -> None:
    journals.whole()
    (tmp_path / "folder").mkdir()
    (tmp_path / "a.txt").touch()
    for name in ("folder", "a.txt"):
        with pytest.raises(SettingsError, match=r"is no file that ends in \.ndjson, \.zip"):
            want(journals, tmp_path / name)
    with pytest.raises(SettingsError, match="zipfile"):
        want(journals, tmp_path / "folder")
    with pytest.raises(SettingsError, match=r"there is no file .*none\.zip"):
        want(journals, tmp_path / "none.zip")
    file = listed(tmp_path, "a.png")
    with pytest.raises(SettingsError, match="name has no slash, as 'A/B' has"):
        want(journals, file, name="A/B")
    with pytest.raises(SettingsError, match="no letter or digit"):
        want(journals, file, name="!")
    with pytest.raises(SettingsError, match="no task 'foo'; it knows detect, segment"):
        want(journals, file, task="foo")
