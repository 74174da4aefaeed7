"""The drain and the local platform: what was recorded is what is there, once, however often it is delivered."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from support.journals import IN_A_FILE, change
from support.platform_api import Api
from support.recordings import KEY, Recordings, recordings

from uploader.server.running import running

ON_BOTH_ENGINES = True


@pytest.fixture(params=["2026", "2025"])
def api(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Api]:
    with running(tmp_path / "platform", api_key=KEY, contract=request.param) as server:
        yield Api(server.url, server.api_key)


def without_times(value: Any) -> Any:
    """Leave out when things were received."""
    if isinstance(value, dict):
        return {name: without_times(item) for name, item in value.items() if not name.endswith(("At", "timestamp"))}
    return [without_times(item) for item in value] if isinstance(value, list) else value


def test_everything_is_there_once(journals: Recordings, api: Api) -> None:
    content = b"weights" * 100_000
    training = journals.whole(epochs=20, content=content)
    assert journals.drain(api.url).exit_code == 0
    model = api.model()
    assert [result["epoch"] for result in model["trainResults"]] == list(range(20))
    assert [chunk["content"] for chunk in model["consoleChunks"]] == [f"line {number}" for number in range(20)]
    assert model["status"] == "completed"
    assert model["environment"]["uploaderRun"] == training.run.id
    assert model["file"]["sha256"] == hashlib.sha256(content).hexdigest()
    assert model["file"]["size"] == len(content)


@IN_A_FILE
def test_delivering_the_same_journal_twice_is_delivering_it_once(
    journals: Recordings, api: Api, tmp_path: Path
) -> None:
    journals.whole(epochs=5)
    copy = tmp_path / "copy"
    shutil.copytree(journals.journal.path, copy)
    assert journals.drain(api.url).exit_code == 0
    before = without_times(api.model())
    with recordings(copy) as copied:
        assert copied.drain(api.url).exit_code == 0
    assert without_times(api.model()) == before
    assert len(api.get("/api/models/local/demo")["models"]) == 1


def test_a_checkpoint_that_is_sent_again_is_the_same_checkpoint(journals: Recordings, api: Api) -> None:
    journals.whole()
    journals.drain(api.url)
    before = without_times(api.model())
    again = "UPDATE deliveries SET state = 'pending', settled_at = NULL WHERE kind = 'checkpoint'"
    change(journals.journal.path, again)
    assert journals.drain(api.url).exit_code == 0
    assert without_times(api.model()) == before


def test_two_runs_of_one_name_are_told_apart_where_there_are_ids(journals: Recordings, tmp_path: Path) -> None:
    with running(tmp_path / "platform", api_key=KEY) as server:
        for content in (b"first", b"second"):
            journals.whole(content=content)
        assert journals.drain(server.url).exit_code == 0
        models = Api(server.url, KEY).get("/api/models/local/demo")["models"]
    digests = {hashlib.sha256(content).hexdigest() for content in (b"first", b"second")}
    assert {model["file"]["sha256"] for model in models} == digests


def test_a_model_that_is_deleted_there_is_registered_anew_by_the_next_session(
    journals: Recordings, tmp_path: Path
) -> None:
    with running(tmp_path / "platform", api_key=KEY) as server:
        api = Api(server.url, KEY)
        first = journals.begin()
        first.started()
        first.epoch(0)
        first.end("crashed")
        assert journals.drain(server.url).exit_code == 0
        assert api.request("DELETE", "/api/models/local/demo/train").status_code == 200
        second = journals.begin(run_id=first.run.id)
        second.started()
        second.epoch(1)
        second.end()
        assert journals.drain(server.url).exit_code == 0
        assert [result["epoch"] for result in api.model()["trainResults"]] == [1]


def test_a_run_that_was_blocked_is_registered_anew_by_the_next_session(journals: Recordings, tmp_path: Path) -> None:
    with running(tmp_path / "platform", api_key=KEY) as server:
        api = Api(server.url, KEY)
        first = journals.begin()
        first.started()
        journals.drain(server.url)
        api.request("DELETE", "/api/models/local/demo/train")
        for number in range(2):  # the second one is not even planned
            first.epoch(number)
            assert journals.drain(server.url).exit_code == 4
            assert journals.journal.report()[0].targets[0].unplanned == number
        first.end("crashed")
        second = journals.begin(run_id=first.run.id)
        second.started()
        second.epoch(2)
        second.end()
        [destination] = journals.drain(server.url).destinations
        assert (destination.blocked, destination.dead, destination.pending) == (0, 1, 0)
        assert sorted(result["epoch"] for result in api.model()["trainResults"]) == [1, 2]
        assert journals.journal.retry().letters == 1
        assert journals.drain(server.url).exit_code == 0
        assert sorted(result["epoch"] for result in api.model()["trainResults"]) == [0, 1, 2]


def test_a_model_of_hub_that_was_deleted_is_made_anew_by_the_next_session(journals: Recordings, tmp_path: Path) -> None:
    """Of an epoch that was trained again the newer value stays, also when the older one is tried again after it."""
    with running(tmp_path / "platform", api_key=KEY) as server:
        headers = {"x-api-key": KEY}

        def models() -> list[str]:
            listed = requests.get(f"{server.url}/v1/models", headers=headers, timeout=60).json()
            return [model["id"] for model in listed["data"]["results"]]

        first = journals.begin()
        journals.writer.route(first.run.id, "hub", server.url)
        first.started()
        journals.drain("http://unused.invalid", hub=server.url)
        [old] = models()
        requests.delete(f"{server.url}/v1/models/{old}", headers=headers, timeout=60).raise_for_status()
        first.epoch(0)
        first.epoch(1)
        assert journals.drain("http://unused.invalid", hub=server.url).exit_code == 4
        first.end("crashed")
        second = journals.begin(run_id=first.run.id)
        second.started(trainArgs={"resume": "last.pt"})
        second.event("epoch_end", {"epoch": 1, "metrics": {"train/loss": 0.1, "val/loss": 0.2}}, "1")
        second.end()
        journals.drain("http://unused.invalid", hub=server.url)
        [new] = models()
        assert new != old
        assert journals.journal.retry().letters == 1
        assert journals.drain("http://unused.invalid", hub=server.url).exit_code == 0
        told = requests.get(f"{server.url}/v1/models/{new}/metrics", headers=headers, timeout=60).json()["data"]
        assert told == [{"epoch": 0, "loss": 1.0}, {"epoch": 1, "train/loss": 0.1, "val/loss": 0.2}]
