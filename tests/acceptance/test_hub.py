"""A real training that is killed and resumed out of reach, then delivered to HUB and to the platform.

What HUB must show are the facts of a recording of upstream 8.3.245's own session with the same kind of training.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import requests
from packaging.version import Version

from uploader.server.running import RunningServer, running

pytestmark = pytest.mark.training

SCRIPT = Path(__file__).parents[2] / "scripts" / "training" / "train.py"
KEY = "hub_acceptance_key"
LOSSES = {"train/box_loss", "train/cls_loss", "train/dfl_loss"}
SCORES = {"metrics/precision(B)", "metrics/recall(B)", "metrics/mAP50(B)", "metrics/mAP50-95(B)"}
VALIDATION = {"val/box_loss", "val/cls_loss", "val/dfl_loss"}
COUNTS_FINAL = Version(version("ultralytics")) >= Version("8.4")
"""Whether the final evaluation has a number of its own."""
FACTS = {"model/parameters", "model/GFLOPs", "model/speed_PyTorch(ms)"}


def run(url: str, *arguments: object) -> int:
    environment = {**os.environ, "ULTRALYTICS_PLATFORM_URL": url, "ULTRALYTICS_HUB_API": url}
    return subprocess.run([sys.executable, *map(str, arguments)], env=environment, check=False).returncode


def read(server: RunningServer, path: str) -> Any:
    answer = requests.get(f"{server.url}/v1/models{path}", headers={"x-api-key": KEY}, timeout=60)
    answer.raise_for_status()
    return answer.json()["data"]


def test_hub_gets_a_resumed_training_as_from_upstream_and_the_platform_gets_it_too(
    training_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ULTRALYTICS_API_KEY", KEY)
    folder, journal = tmp_path / "run", tmp_path / "journal"
    with running(tmp_path / "platform", api_key=KEY) as server:
        url, port = server.url, int(server.url.rpartition(":")[2])
    start = ("--data", training_data, "--save-dir", folder, "--epochs", 3, "--project", "demo", "--name", "t1")
    assert run(url, SCRIPT, *start, "--journal", journal, "--kill-after-epoch", 2) == -signal.SIGKILL
    assert run(url, SCRIPT, "--resume", folder / "weights" / "last.pt", "--journal", journal) == 0
    with running(tmp_path / "platform", api_key=KEY, port=port) as server:
        assert run(url, "-m", "uploader", "drain", "--journal", journal) == 0
        [model] = read(server, "")["results"]
        epochs = read(server, f"/{model['id']}/metrics")
        weights = requests.get(model["weights"], timeout=60).content
        headers = {"Authorization": f"Bearer {KEY}"}
        [other] = requests.get(f"{url}/api/models/local/demo", headers=headers, timeout=60).json()["models"]
    assert model["status"] == "trained"
    assert model["train_args"] == {
        "batch": 2,
        "epochs": 3,
        "imgsz": 96,
        "patience": 100,
        "device": "cpu",
        "cache": "False",
        "data": str(training_data),
    }
    assert model["lineage"] == {"architecture": {"name": "yolo11n"}, "parent": {}}
    assert model["meta"] == {"name": "yolo11n.yaml", "uploaderRun": other["environment"]["uploaderRun"]}
    assert [set(epoch) - {"epoch"} for epoch in epochs] == [
        LOSSES | SCORES | VALIDATION | FACTS,
        LOSSES | SCORES | VALIDATION,
        *([LOSSES | SCORES | VALIDATION, LOSSES | SCORES] if COUNTS_FINAL else [LOSSES | SCORES]),
    ]
    assert all(isinstance(value, (int, float)) for epoch in epochs for value in epoch.values())
    best = model["checkpoints"]["best"]
    assert (best["epoch"], best["isBest"]) == (2, True)
    assert best["map"] == epochs[-1]["metrics/mAP50-95(B)"]
    assert weights == (folder / "weights" / "best.pt").read_bytes()
    assert best["sha256"] == hashlib.sha256(weights).hexdigest()
    assert (other["status"], other["file"]["sha256"]) == ("completed", best["sha256"])
