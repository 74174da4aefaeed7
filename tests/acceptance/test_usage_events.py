"""Usage events of real trainings, validations, predictions and exports, where the settings allow them and where not."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.scripted_server import ScriptedServer, hub_received, scripted_server

pytestmark = pytest.mark.training

ROOT = Path(__file__).parents[2]
# Ultralytics is offline here, so that its own usage events stay where they are.
WORK = """
import os, sys
from offline import isolate_ultralytics
isolate_ultralytics(os.environ["YOLO_CONFIG_DIR"])
from torchvision_ops import ensure_torchvision_ops
ensure_torchvision_ops()
import numpy, uploader
from ultralytics import YOLO, settings
from ultralytics.utils.events import callbacks, events

assert not events.enabled
settings.update(sync=sys.argv[2] == "True")
model = uploader.attach(YOLO("yolo11n.yaml"), journal="journal", platform=sys.argv[3])
image = numpy.zeros((32, 32, 3), numpy.uint8)
model.predict(image, imgsz=32, verbose=False)
model.val(data=sys.argv[1], imgsz=32, device="cpu", workers=0, plots=False)
model.export(format="torchscript", imgsz=32)
small = dict(epochs=1, imgsz=32, fraction=0.1, workers=0, device="cpu", plots=False, amp=False)
model.train(data=sys.argv[1], save_dir=os.path.abspath("train"), **small)  # else its name depends on trainings before
assert all(each in model.trainer.callbacks[name] for name, each in callbacks.items()), "upstream's own are gone"
"""


def work(folder: Path, data: Path, url: str, *, sync: bool, platform: str = "hub") -> list[tuple[str, dict[str, Any]]]:
    """Use a model in every way; return the usage events, each with the name of its run."""
    environment = environ(folder, url)
    command = [sys.executable, "-c", WORK, str(data), str(sync), platform]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    query = "SELECT name, payload FROM events JOIN runs ON runs.id = run_id WHERE kind = 'usage' ORDER BY events.id"
    with closing(sqlite3.connect(folder / "journal" / "journal.db")) as connection:
        return [(name, json.loads(payload)) for name, payload in connection.execute(query)]


def environ(folder: Path, url: str) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "scripts" / "training"))),
        "YOLO_CONFIG_DIR": str(folder / "config"),
        "ULTRALYTICS_HUB_API": url,
        "HUB_API_KEY": "hub_usage_key",
        "UPLOADER_FALLBACK": str(folder / "fallback"),
    }


def paths(server: ScriptedServer) -> list[str]:
    return [request.path for request in server.requests]


def test_each_start_is_journaled_and_none_is_sent(tmp_path: Path, training_data: Path) -> None:
    with scripted_server(hub_received) as hub:
        events = work(tmp_path, training_data, hub.url, sync=True)
        assert paths(hub) == []
        command = [sys.executable, "-m", "uploader", "drain", "--journal", str(tmp_path / "journal")]
        assert subprocess.run(command, env=environ(tmp_path, hub.url), check=False).returncode == 0
        assert set(paths(hub)) == {"/v1/models", "/v1/models/m-1", "/v1/models/m-1/upload"}
        assert not any(b"usage" in request.body for request in hub.requests)
    assert [(run, payload["name"]) for run, payload in events] == [
        ("usage", "predict"),
        ("usage", "val"),
        ("usage", "export"),
        ("train", "train"),
    ]
    for _, payload in events:
        facts = {"task": "detect", "device": "cpu", "model": "yolo11n.yaml"}
        assert payload["params"] | facts == payload["params"]
        assert {"cli", "install", "python", "CPU", "version", "env", "session_id"} <= set(payload["params"])
    assert events[2][1]["params"]["format"] == "torchscript"


@pytest.mark.parametrize(("sync", "platform"), [(False, "hub"), (True, "ultralytics")])
def test_none_is_journaled_where_the_settings_forbid_it_or_hub_is_not_chosen(
    tmp_path: Path, training_data: Path, sync: bool, platform: str
) -> None:
    assert work(tmp_path, training_data, "http://127.0.0.1:9", sync=sync, platform=platform) == []
