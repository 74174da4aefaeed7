"""Upstream's own streaming and ours take turns in one training: it stays one model."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from dataset import make_dataset
from support.platform_api import Api

from uploader.server.running import RunningServer, running

pytestmark = [
    pytest.mark.training,
    pytest.mark.skipif(sys.version_info < (3, 11), reason="upstream streams with its SDK, from Python 3.11"),
]

ROOT = Path(__file__).parents[2]
KEY = "a" * 40


def test_each_goes_on_as_the_others_model(tmp_path: Path) -> None:
    run, data = tmp_path / "run", make_dataset(tmp_path / "data", train=4, val=2)
    last = ["--resume", run / "weights" / "last.pt"]
    with running(tmp_path / "platform", api_key=KEY) as server:
        start = ["--data", data, "--epochs", 3, "--project", "demo", "--name", "t1", "--save-dir", run]
        assert train(tmp_path, server, "upstream", *start, "--kill-after-epoch", 1) == -signal.SIGKILL
        streamed = (run / "platform_model_id.txt").read_text()
        assert train(tmp_path, server, "ours", *last, "--kill-after-epoch", 2) == -signal.SIGKILL
        assert uploader(tmp_path, server, "drain", "--journal", tmp_path / "journal") == 0
        assert train(tmp_path, server, "upstream", *last) == 0
        (model,) = Api(server.url, KEY).get("/api/models/local/demo")["models"]
        assert (model["id"], model["status"]) == (streamed, "completed")
        assert {1, 2} <= {epoch["epoch"] for epoch in Api(server.url, KEY).model(run.name)["trainResults"]}


def test_upstream_goes_on_as_the_model_that_ours_began(tmp_path: Path) -> None:
    """Without a second training: the file that upstream reads is there, and holds the id."""
    code = """
import sys
from pathlib import Path
from uploader.recording.recorder import Recorder
from uploader.recording.journal_options import JournalOptions
run = Path(sys.argv[2])
recorder = Recorder.start(JournalOptions(sys.argv[1]), project="demo", name="t1", save_dir=run, resume=False)
recorder.event("training_started", {"trainArgs": {"save_dir": str(run)}, "environment": {}}, "1")
recorder.finish("failed")
"""
    run = tmp_path / "run"
    run.mkdir()
    with running(tmp_path / "platform", api_key=KEY) as server:
        assert python(tmp_path, server, "-c", code, tmp_path / "journal", run) == 0
        assert uploader(tmp_path, server, "drain", "--journal", tmp_path / "journal") == 0
        assert (run / "platform_model_id.txt").read_text() == Api(server.url, KEY).model("t1")["id"]


def train(folder: Path, server: RunningServer, callbacks: str, *options: object) -> int:
    script = ROOT / "scripts" / "training" / "train.py"
    return python(folder, server, script, "--callbacks", callbacks, "--journal", folder / "journal", *options)


def uploader(folder: Path, server: RunningServer, *words: object) -> int:
    return python(folder, server, "-m", "uploader", *words)


def python(folder: Path, server: RunningServer, *arguments: Any) -> int:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "ULTRALYTICS_PLATFORM_URL": server.url,
        "ULTRALYTICS_API_KEY": server.api_key,
        "UPLOADER_FALLBACK": str(folder / "fallback"),
        "YOLO_CONFIG_DIR": str(folder / "config"),
    }
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, env=environment, cwd=folder, check=False).returncode
