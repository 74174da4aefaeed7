"""A real training that is killed between the save of a checkpoint and the end of its epoch, and resumed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.platform_api import Api
from support.recordings import KEY, recordings

import uploader
from uploader.server.running import running

pytestmark = pytest.mark.training

ROOT = Path(__file__).parents[3]
EPOCHS = 6
KILLED_IN = 2
"""The epoch whose end no callback of ours hears of."""
TRAIN = """
from torchvision_ops import ensure_torchvision_ops
ensure_torchvision_ops()
import os, signal, sys, uploader
from ultralytics import YOLO
model = uploader.attach(YOLO("yolo11n.yaml"), journal=sys.argv[1], project="demo")
model.add_callback("on_model_save", lambda trainer: trainer.epoch == int(sys.argv[2]) and os.kill(os.getpid(), 9))
model.train(**eval(sys.argv[3]))
"""


@dataclass(frozen=True)
class Killed:
    """What the killed training left, and what it would have come to."""

    journal: Path
    save_dir: Path
    whole: dict[int, dict[str, float]]


@pytest.fixture(scope="module")
def killed(ultralytics: Any, training_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Killed:
    folder = tmp_path_factory.mktemp("killed")
    arguments = {
        "data": str(training_data),
        "project": str(folder),
        "epochs": EPOCHS,
        "imgsz": 32,
        "batch": 4,
        "fraction": 0.1,
        "workers": 0,
        "device": "cpu",
        "plots": False,
        "amp": False,
        "verbose": False,
    }
    journal, save_dir = folder / "journal", folder / "train"
    search = os.pathsep.join([str(ROOT), str(ROOT / "scripts" / "training"), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", TRAIN, journal, str(KILLED_IN), repr({**arguments, "name": "train"})]
    died = subprocess.run(command, env={**os.environ, "PYTHONPATH": search}, capture_output=True, text=True)
    assert died.returncode == -signal.SIGKILL, died.stderr
    undisturbed = uploader.attach(ultralytics.YOLO("yolo11n.yaml"), journal=folder / "other", project="demo")
    undisturbed.train(**arguments, name="undisturbed")
    return Killed(journal, save_dir, epochs_of(folder / "other"))


@pytest.fixture
def left(killed: Killed, tmp_path: Path) -> Iterator[Killed]:
    """The same, put back afterwards to where it was: a folder elsewhere would be a copy."""
    for folder in (killed.journal, killed.save_dir):
        shutil.copytree(folder, tmp_path / folder.name)
    yield killed
    for folder in (killed.journal, killed.save_dir):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.move(tmp_path / folder.name, folder)


def epochs_of(journal: Path, status: str = "completed") -> dict[int, dict[str, float]]:
    """Return the metrics of the epochs that a platform has once a journal is delivered, without the evaluation's."""
    with recordings(journal) as recorded, running(journal.parent / "platform", api_key=KEY) as server:
        assert recorded.drain(server.url).exit_code == 0
        (model,) = Api(server.url, KEY).get("/api/models/local/demo")["models"]
        assert model["status"] == status
        shown = Api(server.url, KEY).model(model["model"])["trainResults"]
    shutil.rmtree(journal.parent / "platform")
    return {epoch["epoch"]: epoch["metrics"] for epoch in shown if epoch["epoch"] < EPOCHS}


def test_all_epochs_arrive_with_the_journal_intact(left: Killed, ultralytics: Any) -> None:
    resume(left, ultralytics)
    assert_whole(epochs_of(left.journal), left)


def test_all_epochs_arrive_with_the_journal_wiped(left: Killed, ultralytics: Any) -> None:
    shutil.rmtree(left.journal)
    resume(left, ultralytics)
    assert_whole(epochs_of(left.journal), left)


def test_all_epochs_arrive_where_only_the_checkpoint_was_kept(left: Killed, ultralytics: Any, tmp_path: Path) -> None:
    kept = shutil.copy2(left.save_dir / "weights" / "last.pt", tmp_path / "last.pt")
    shutil.rmtree(left.journal)
    shutil.rmtree(left.save_dir)
    resume(left, ultralytics, kept)
    assert_whole(epochs_of(left.journal), left)


def test_without_a_resume_the_drain_takes_in_the_epoch(left: Killed) -> None:
    epochs = epochs_of(left.journal, "failed")
    assert sorted(epochs) == list(range(KILLED_IN + 1))
    assert epochs[KILLED_IN] == pytest.approx(left.whole[KILLED_IN], rel=1e-5)


def resume(left: Killed, ultralytics: Any, checkpoint: Path | None = None) -> None:
    model = ultralytics.YOLO(checkpoint or left.save_dir / "weights" / "last.pt")
    uploader.attach(model, journal=left.journal, project="demo").train(resume=True)


def assert_whole(epochs: dict[int, dict[str, float]], left: Killed) -> None:
    """Check that the epochs are those of the undisturbed training: until the kill, the same but for their digits."""
    assert sorted(epochs) == list(range(EPOCHS))
    for number, metrics in epochs.items():
        assert metrics.keys() == left.whole[number].keys()
        if number <= KILLED_IN:
            assert metrics == pytest.approx(left.whole[number], rel=1e-5)
