"""The drain and the local platform: what was recorded is what is there, once, however often it is delivered."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.platform_api import Api
from support.recordings import KEY, Recordings, recordings

from uploader.local_platform.server import running


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
    with closing(sqlite3.connect(journals.journal.database)) as connection, connection:
        connection.execute("UPDATE deliveries SET state = 'pending', settled_at = NULL WHERE kind = 'checkpoint'")
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
