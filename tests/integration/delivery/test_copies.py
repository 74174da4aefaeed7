"""A machine's disk lives on twice, journal and run folder included; both go on with the run, and both are drained."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.platform_api import Api
from support.recordings import KEY, recordings

from uploader.recording.journal_options import JournalOptions
from uploader.recording.recorder import Recorder
from uploader.server.running import running


@pytest.fixture(params=[True, False])
def api(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Api]:
    with running(tmp_path / "platform", api_key=KEY, idempotency=request.param) as server:
        yield Api(server.url, server.api_key)


class Machine:
    """A disk with a journal and a run's folder, under the same paths as on every copy of it."""

    def __init__(self, place: Path, disk: Path) -> None:
        self._place, self._disk = place, disk

    def copy(self, disk: Path) -> Machine:
        shutil.copytree(self._disk, disk)
        return Machine(self._place, disk)

    def train(self, resume: bool, epochs: list[int], loss: float, end: str | None = None) -> Recorder:
        self._disk.rename(self._place)
        options, run = JournalOptions(str(self._place / "journal"), durability="process"), self._place / "run"
        recorder = Recorder.start(options, project="demo", name="train", save_dir=run, resume=resume)
        told = {"uploaderRun": recorder.run_id, "uploaderSession": recorder.session.facts()}
        args = {"resume": str(resume), "save_dir": str(run)}
        recorder.event("training_started", {"trainArgs": args, "environment": told}, str(recorder.session_number))
        for epoch in epochs:
            recorder.event("epoch_end", {"epoch": epoch, "metrics": {"loss": loss}}, str(epoch))
        if end:
            recorder.event(end, {"results": {}})
        recorder.finish("exited")
        self._place.rename(self._disk)
        return recorder

    def drain(self, api: Api) -> int:
        with recordings(self._disk / "journal") as opened:
            return int(opened.drain(api.url).exit_code)

    def lose_journal(self) -> None:
        shutil.rmtree(self._disk / "journal")


@pytest.fixture
def first(tmp_path: Path, api: Api) -> Machine:
    """A machine that has trained two epochs and delivered them."""
    (tmp_path / "a" / "run").mkdir(parents=True)
    machine = Machine(tmp_path / "disk", tmp_path / "a")
    machine.train(False, [0, 1], 1.0)
    assert machine.drain(api) == 0
    return machine


def shown(api: Api, name: str) -> list[tuple[int, Any]]:
    return [(each["epoch"], each["metrics"]["loss"]) for each in api.model(name)["trainResults"]]


@pytest.mark.parametrize("journal_is_lost", [False, True])
def test_the_second_never_replaces_the_firsts(first: Machine, api: Api, tmp_path: Path, journal_is_lost: bool) -> None:
    second = first.copy(tmp_path / "b")
    first.train(True, [2, 3], 2.0, "training_complete")
    assert first.drain(api) == 0
    if journal_is_lost:
        second.lose_journal()
    second.train(True, [2], 3.0)
    assert second.drain(api) == 0
    assert shown(api, "train") == [(0, 1.0), (1, 1.0), (2, 2.0), (3, 2.0)]
    assert api.model("train")["status"] == "completed"
    assert shown(api, "train-copy") == [(2, 3.0)]
    second.train(True, [3], 3.0)
    assert second.drain(api) == 0
    assert shown(api, "train-copy") == [(2, 3.0), (3, 3.0)]


def test_one_that_goes_on_alone_has_the_model(first: Machine, api: Api, tmp_path: Path) -> None:
    second = first.copy(tmp_path / "b")
    second.lose_journal()
    second.train(True, [2, 3], 3.0, "training_complete")
    assert second.drain(api) == 0
    assert shown(api, "train") == [(0, 1.0), (1, 1.0), (2, 3.0), (3, 3.0)]
    assert len(api.get("/api/models/local/demo")["models"]) == 1
