"""Ultralytics 8.3.245's own HUB session, and ours by way of journal and drain, leave the same state on HUB.

Both train with that version, the last one that speaks to HUB by itself, under settings that switch its session on: so
ours has to take it out, too.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from support.wants import not_here

from uploader.server.running import RunningServer, running

pytestmark = pytest.mark.training

ROOT = Path(__file__).parents[2]
KEY = "hub_same_state_key"
UPSTREAM = "ultralytics==8.3.245"
# Upstream sends metrics every three seconds at most, and what waits when the training ends never. Without that limit
# it sends all that it would of a longer training.
TRAINING = """
import os, sys
from offline import isolate_ultralytics
isolate_ultralytics(os.environ["YOLO_CONFIG_DIR"])
from ultralytics import __version__, settings
from ultralytics.utils.callbacks.base import default_callbacks
import train

def lift(trainer):
    if trainer.hub_session:
        trainer.hub_session.rate_limits["metrics"] = 0

assert __version__ == "8.3.245", __version__
settings.update(hub=True, api_key=os.environ["HUB_API_KEY"])
default_callbacks["on_train_start"].append(lift)
train.main(sys.argv[1:])
"""
FROM_URL = """
import os, sys
from offline import isolate_ultralytics
isolate_ultralytics(os.environ["YOLO_CONFIG_DIR"])
from torchvision_ops import ensure_torchvision_ops
ensure_torchvision_ops()
from ultralytics import YOLO, settings
import uploader

settings.update(hub=True, api_key=os.environ["HUB_API_KEY"])
model = uploader.attach(YOLO(sys.argv[1]), journal=sys.argv[2])
model.overrides.update(project="runs", plots=False, workers=0, amp=False)
model.train()
from ultralytics.utils.callbacks import hub, platform
reporting = {"on_fit_epoch_end", "on_model_save", "on_train_end"}
for callbacks in (hub.callbacks, platform.callbacks):
    assert reporting <= callbacks.keys()
    assert not [event for event in reporting if callbacks[event] in [*model.trainer.callbacks.get(event)]]
"""
SPEED = "model/speed_PyTorch(ms)"


@dataclass(frozen=True)
class State:
    """What a HUB has of one training.

    Attributes:
        model: The model's facts.
        epochs: Its metrics.
        weights: The file that is offered for download.
        trained: The file that the training left.
    """

    model: dict[str, Any]
    epochs: list[dict[str, Any]]
    weights: bytes
    trained: bytes


@pytest.fixture(scope="module")
def library(pytestconfig: pytest.Config) -> Path:
    """A folder with that version beside the one that is installed; kept for the next time."""
    assert pytestconfig.cache is not None
    folder = Path(pytestconfig.cache.mkdir(UPSTREAM.replace("==", "-")))
    if not any(folder.glob("ultralytics-*.dist-info")):
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), UPSTREAM]
        done = subprocess.run(install, capture_output=True, text=True, check=False)
        if done.returncode:
            not_here(f"{UPSTREAM} cannot be installed: {done.stderr.strip().splitlines()[-1:]}")
    return folder


@pytest.fixture(scope="module")
def states(
    library: Path, tmp_path_factory: pytest.TempPathFactory, training_data: Path
) -> Iterator[tuple[State, State]]:
    """The same training, reported by upstream while it ran, and journaled and drained by us."""
    pytest.importorskip("hub_sdk")
    folder = tmp_path_factory.mktemp("same-hub-state")
    with (
        running(folder / "hub-upstream", api_key=KEY) as theirs,
        running(folder / "hub-ours", api_key=KEY) as ours,
    ):
        _train(folder, library, training_data, theirs, "upstream")
        upstream = _state(theirs, folder)
        shutil.rmtree(folder / "runs")
        _train(folder, library, training_data, ours, "ours")
        assert _read(ours, "")["total"] == 0
        _run(["-m", "uploader", "drain", "--journal", str(folder / "journal")], folder, library, ours)
        yield upstream, _state(ours, folder)


def test_the_models_are_the_same_but_for_our_run_id(states: tuple[State, State]) -> None:
    upstream, ours = (_steady_model(state.model) for state in states)
    assert ours["meta"].pop("uploaderRun")
    assert ours == upstream
    assert ours["status"] == "trained"


def test_every_epoch_is_the_same(states: tuple[State, State]) -> None:
    upstream, ours = (_steady_epochs(state.epochs) for state in states)
    assert ours == upstream
    assert [epoch["epoch"] for epoch in ours] == [0, 1, 2]


def test_the_weights_are_the_same(states: tuple[State, State]) -> None:
    """To the last bit, but for the dates and times that are saved with them."""
    upstream, ours = (_tensors(state.weights) for state in states)
    assert upstream == ours
    assert len(ours) > 100


def test_each_has_the_bytes_that_the_training_left(states: tuple[State, State]) -> None:
    for state in states:
        assert state.weights == state.trained
        assert state.model["checkpoints"]["best"]["sha256"] == hashlib.sha256(state.trained).hexdigest()


def test_a_model_that_upstream_has_loaded_by_its_url_gets_the_training(
    library: Path, tmp_path: Path, training_data: Path
) -> None:
    config = {"batchSize": 4, "epochs": 1, "imageSize": 32, "patience": 5, "device": "cpu", "cache": "False"}
    lineage = {"architecture": {"name": "yolo11n"}, "parent": {}}
    wish = {"config": config, "dataset": {"name": str(training_data)}, "lineage": lineage, "meta": {"name": "wished"}}
    with running(tmp_path / "hub", api_key=KEY) as hub:
        answer = requests.post(f"{hub.url}/v1/models", json=wish, headers={"x-api-key": KEY}, timeout=100).json()
        url, journal = f"https://hub.ultralytics.com/models/{answer['data']['id']}", tmp_path / "journal"
        _run(["-c", FROM_URL, url, str(journal)], tmp_path, library, hub)
        assert _read(hub, f"/{answer['data']['id']}/metrics") == []
        _run(["-m", "uploader", "drain", "--journal", str(journal)], tmp_path, library, hub)
        [model] = _read(hub, "")["results"]
        epochs = _read(hub, f"/{answer['data']['id']}/metrics")
    assert (model["status"], model["meta"]) == ("trained", {"name": "wished"})
    assert [epoch["epoch"] for epoch in epochs] == [0]


def _train(folder: Path, library: Path, data: Path, server: RunningServer, callbacks: str) -> None:
    options = ["--data", str(data), "--project", "runs", "--name", "t1"]
    options += ["--callbacks", callbacks, "--journal", str(folder / "journal")]
    _run(["-c", TRAINING, *options], folder, library, server)


def _run(arguments: list[str], folder: Path, library: Path, server: RunningServer) -> None:
    paths = (library, ROOT, ROOT / "scripts" / "training")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "ULTRALYTICS_HUB_API": server.url,
        "HUB_API_KEY": KEY,
        "UPLOADER_FALLBACK": str(folder / "fallback"),
        "YOLO_CONFIG_DIR": str(folder / "config"),
    }
    command = [sys.executable, *arguments]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _state(server: RunningServer, folder: Path) -> State:
    [model] = _read(server, "")["results"]
    return State(
        model=model,
        epochs=_read(server, f"/{model['id']}/metrics"),
        weights=requests.get(model["weights"], timeout=100).content,
        trained=(folder / "runs" / "t1" / "weights" / "best.pt").read_bytes(),
    )


def _read(server: RunningServer, path: str) -> Any:
    answer = requests.get(f"{server.url}/v1/models{path}", headers={"x-api-key": KEY}, timeout=100)
    answer.raise_for_status()
    return answer.json()["data"]


def _steady_model(model: dict[str, Any]) -> dict[str, Any]:
    """Leave out ids, times, URLs, and what the dates in the file decide."""
    files = {
        kind: {name: value for name, value in file.items() if name not in {"sha256", "size"}}
        for kind, file in model["checkpoints"].items()
    }
    kept = {name: value for name, value in model.items() if name not in {"id", "createdAt", "updatedAt", "weights"}}
    return {**kept, "checkpoints": files}


def _steady_epochs(epochs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Replace the one figure that is measured."""
    return [{**epoch, **({SPEED: "measured"} if SPEED in epoch else {})} for epoch in epochs]


def _tensors(weights: bytes) -> dict[str, str]:
    """Return the digest of each parameter."""
    from torchvision_ops import ensure_torchvision_ops

    ensure_torchvision_ops()
    import torch

    model = torch.load(io.BytesIO(weights), map_location="cpu", weights_only=False)["model"]
    return {
        name: hashlib.sha256(value.contiguous().numpy().tobytes()).hexdigest()
        for name, value in model.state_dict().items()
    }
