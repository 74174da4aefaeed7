"""A real training whose journal may hold next to nothing: it ends well, its result arrives, and what went is told."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.journals import rows
from support.platform_api import Api

from uploader.server.running import running

pytestmark = pytest.mark.training

SCRIPT = Path(__file__).parents[2] / "scripts" / "training" / "train.py"
KEY = "ul_limit_key"


def test_a_training_at_its_limit(training_data: Path, tmp_path: Path) -> None:
    journal, folder = tmp_path / "journal", tmp_path / "run"
    start = ("--data", training_data, "--save-dir", folder, "--epochs", 2, "--project", "demo", "--name", "t1")
    limited = {**os.environ, "UPLOADER_MAX_SIZE": "1MB"}
    command = [sys.executable, SCRIPT, *start, "--journal", journal]
    done = subprocess.run([*map(str, command)], env=limited, capture_output=True, text=True, check=True)
    assert "has reached its limit of 1 MB" in done.stdout + done.stderr
    assert rows(journal, "SELECT role, bytes_are FROM checkpoints") == [("final", "present")]
    with running(tmp_path / "platform", api_key=KEY) as server:
        environment = {**os.environ, "ULTRALYTICS_PLATFORM_URL": server.url, "ULTRALYTICS_API_KEY": KEY}
        drain = [sys.executable, "-m", "uploader", "drain", "--journal", str(journal)]
        subprocess.run(drain, env=environment, check=True)
        [model] = Api(server.url, KEY).get("/api/models/local/demo")["models"]
    assert model["file"]["sha256"] == hashlib.sha256((folder / "weights" / "best.pt").read_bytes()).hexdigest()
    assert len(model["trainResults"]) == 3  # and the final evaluation
    shown = "\n".join(chunk["content"] for chunk in model["consoleChunks"])
    assert "Uploader: given up: 1 checkpoint not taken" in shown
