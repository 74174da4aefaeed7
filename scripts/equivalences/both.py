"""Running a situation both ways, each with its own platform."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import requests

from equivalences.drawn import draw
from equivalences.situations import FIXED, Situation
from uploader.server.running import RunningServer, running

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "scripts"
KEY = "a" * 40
Models = list[dict[str, Any]]


class TrainingFailed(Exception):
    """A training or a drain did not end as expected; contains the end of its output."""


def both(situation: Situation, folder: Path, library: Path | None, version: str) -> tuple[Models, Models]:
    """Return the models that upstream's streaming leaves on its platform, and those that ours leaves.

    Args:
        situation: What is trained, and what happens.
        folder: An empty folder for everything.
        library: Folder of another version of Ultralytics; None for the installed one.
        version: The version of Ultralytics.

    Raises:
        TrainingFailed: A process did not end as expected.
    """
    data = draw(situation.task, folder / "data")
    plots = {"plots": False} if numbers(version) < (8, 4, 100) else {}  # they need SciPy in these versions
    arguments = json.dumps({**FIXED, **situation.arguments, **plots, "data": data})
    found = []
    for side in ("upstream", "ours"):
        with running(folder / side, api_key=KEY, contract="2025" if version.startswith("8.3.") else "2026") as server:
            place = _Side(side, folder, library, server)
            for step in situation.steps:
                place.run(step, ["equivalences.trains", step, situation.model, arguments])
            if side == "ours":
                place.run("drain", ["uploader", "drain", "--journal", str(folder / "journal")])
            found.append(_models(server))
    return found[0], found[1]


def numbers(version: str) -> tuple[int, ...]:
    """Return a version of Ultralytics as numbers."""
    return tuple(map(int, version.split(".")[:3]))


class _Side:
    """One of the two sides: where its processes run, and with which environment."""

    def __init__(self, name: str, folder: Path, library: Path | None, server: RunningServer) -> None:
        self._name = name
        self._work = folder / "work"  # the same for both, because paths are reported
        shutil.rmtree(self._work, ignore_errors=True)
        self._work.mkdir()
        paths = [
            *([library] if library else []),
            ROOT,
            SCRIPTS,
            SCRIPTS / "training",
            SCRIPTS / "equivalences" / "shims",
        ]
        self._environment = {
            **os.environ,
            "EQUIVALENCE": name,
            "EQUIVALENCE_JOURNAL": str(folder / "journal"),
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
            "ULTRALYTICS_API_KEY": KEY,
            "ULTRALYTICS_PLATFORM_URL": server.url,
            "UPLOADER_FALLBACK": str(folder / "fallback"),
            "YOLO_CONFIG_DIR": str(folder / "config"),
        }

    def run(self, step: str, command: Sequence[str]) -> None:
        """Run a module in a new process, and check that it ends as the step says."""
        options: dict[str, Any] = {"cwd": self._work, "env": self._environment, "text": True, "errors": "replace"}
        done = subprocess.run([sys.executable, "-m", *command], capture_output=True, check=False, **options)
        expected = {"killed": -9, "raises": 1}.get(step.partition(" ")[0], 0)
        if done.returncode != expected:
            words = (done.stdout + done.stderr).strip().splitlines()[-15:]
            raise TrainingFailed(f"{self._name}, {step}: exit code {done.returncode}\n" + "\n".join(words))


def _models(server: RunningServer) -> Models:
    """Return all models in the order of their creation."""
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {KEY}"
    listed = session.get(f"{server.url}/api/models/local/demo", params={"limit": 50}, timeout=30).json()["models"]
    paths = [f"{each['owner']}/{each['project']}/{each['model']}" for each in reversed(listed)]
    return [session.get(f"{server.url}/api/models/{path}", timeout=30).json()["model"] for path in paths]
