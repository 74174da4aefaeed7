"""Upstream's own streaming, and ours by way of journal and drain, leave the same state on the platform."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from uploader.server.running import RunningServer, running

pytestmark = pytest.mark.skipif(sys.version_info < (3, 11), reason="upstream streams with its SDK, from Python 3.11")

ROOT = Path(__file__).parents[2]
KEY = "a" * 40
# Ids, times and machine readings, which two trainings of the same thing cannot share.
DIFFERS = {"id", "createdAt", "updatedAt", "startedAt", "completedAt", "system", "runIds"}
# Lines of the console whose very existence depends on the disk's speed or on when a bar was drawn.
VARYING = re.compile(r"image access|it/s|s/it|Results saved|Logging results|Optimizer stripped|Validating|hours|cache")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, training_data: Path) -> Iterator[tuple[Any, Any]]:
    """The platform's models of the same training: streamed by upstream, and journaled and drained by us."""
    folder = tmp_path_factory.mktemp("same-state")
    with (
        running(folder / "platform-upstream", api_key=KEY) as upstream,
        running(folder / "platform-ours", api_key=KEY) as ours,
    ):
        _train(folder, training_data, upstream, "upstream")
        shutil.rmtree(folder / "runs")
        _train(folder, training_data, ours, "ours")
        drain = _run([sys.executable, "-m", "uploader", "drain", "--journal", str(folder / "journal")], folder, ours)
        assert drain.returncode == 0, drain.stderr
        yield _only_model(upstream), _only_model(ours)


@pytest.mark.training
def test_the_models_have_the_same_fields(models: tuple[Any, Any]) -> None:
    upstream, ours = models
    assert upstream.keys() == ours.keys()


@pytest.mark.training
@pytest.mark.parametrize(
    "name",
    [
        *("owner", "project", "model", "name", "visibility", "status", "task", "device", "epochs", "trainArgs"),
        *("metrics", "bestEpoch", "bestFitness", "classNames", "plots", "hasWeights"),
    ],
)
def test_a_field_is_the_same(models: tuple[Any, Any], name: str) -> None:
    upstream, ours = models
    assert upstream[name] == ours[name]


@pytest.mark.training
def test_every_epoch_is_the_same(models: tuple[Any, Any]) -> None:
    upstream, ours = ([_steady_epoch(epoch) for epoch in model["trainResults"]] for model in models)
    assert [epoch["epoch"] for epoch in ours] == [0, 1, 2, 3]
    assert upstream == ours


@pytest.mark.training
def test_the_results_are_the_same_up_to_where_the_weights_lie(models: tuple[Any, Any]) -> None:
    upstream, ours = ({**model["results"]} for model in models)
    assert upstream.pop("modelPath")
    assert ours.pop("modelPath")
    assert upstream.pop("modelSize") == pytest.approx(ours.pop("modelSize"), rel=0.001)  # dates inside, as text
    assert upstream == ours


@pytest.mark.training
def test_the_environment_is_the_same_but_for_the_command_and_our_run_id(models: tuple[Any, Any]) -> None:
    upstream, ours = ({**model["environment"]} for model in models)
    assert ours.pop("uploaderRun")
    assert ours.pop("uploaderSession")
    assert ours.pop("uploaderProofKey")
    upstream.pop("command")
    ours.pop("command")
    assert upstream == ours


@pytest.mark.training
def test_the_weights_have_the_same_name(models: tuple[Any, Any]) -> None:
    upstream, ours = models
    assert upstream["file"]["name"] == ours["file"]["name"] == "best.pt"


@pytest.mark.training
def test_the_console_has_the_same_lines(models: tuple[Any, Any]) -> None:
    upstream, ours = (_steady_lines(model["consoleChunks"]) for model in models)
    assert upstream == ours
    assert len(ours) > 30


def _train(folder: Path, data: Path, server: RunningServer, callbacks: str) -> None:
    options = ["--data", str(data), "--project", "demo", "--name", "t1", "--save-dir", str(folder / "runs" / "t1")]
    options += ["--callbacks", callbacks, "--journal", str(folder / "journal"), "--plots"]
    done = _run([sys.executable, str(ROOT / "scripts" / "training" / "train.py"), *options], folder, server)
    assert done.returncode == 0, done.stderr


def _run(command: list[str], folder: Path, server: RunningServer) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "ULTRALYTICS_PLATFORM_URL": server.url,
        "ULTRALYTICS_API_KEY": server.api_key,
        "UPLOADER_FALLBACK": str(folder / "fallback"),
        "YOLO_CONFIG_DIR": str(folder / "config"),
    }
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)


def _only_model(server: RunningServer) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {server.api_key}"}
    project = f"{server.url}/api/models/{_owner(server)}/demo"
    listed = requests.get(project, headers=headers, timeout=100).json()["models"]
    assert len(listed) == 1
    path = "/".join(listed[0][part] for part in ("owner", "project", "model"))
    return requests.get(f"{server.url}/api/models/{path}", headers=headers, timeout=100).json()["model"]


def _owner(server: RunningServer) -> str:
    listed = requests.get(f"{server.url}/data/runs", timeout=100).json()
    (key,) = listed["fields"]["key"]
    owner, project, _ = key.split("/")
    assert project == "demo"
    return str(owner)


def _steady_epoch(epoch: dict[str, Any]) -> dict[str, Any]:
    """Leave out what the machine, not the training, decides."""
    info = {name: value for name, value in epoch.get("modelInfo", {}).items() if name != "speedMs"}
    kept = {name: value for name, value in epoch.items() if name not in {"timestamp", "system", "modelInfo"}}
    return {**kept, "modelInfo": info, "system fields": sorted(epoch["system"])}


def _steady_lines(chunks: list[dict[str, Any]]) -> list[str]:
    """Return the console's lines without times and speeds, in order."""
    lines = "\n".join(chunk["content"] for chunk in chunks if chunk["content"]).split("\n")
    texts = [re.sub(r"^\[[^\]]*\] ", "", line) for line in lines]
    return [re.sub(r"\d+\.\d+ms", "#ms", text) for text in texts if not VARYING.search(text)]
