"""Usage events are upstream's own: its callbacks for them stay, and nothing is journaled or sent of them here."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

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
settings.update(sync=True)
model = uploader.attach(YOLO("yolo11n.yaml"), journal="journal", platform="hub")
image = numpy.zeros((32, 32, 3), numpy.uint8)
model.predict(image, imgsz=32, verbose=False)
model.val(data=sys.argv[1], imgsz=32, device="cpu", workers=0, plots=False)
small = dict(epochs=1, imgsz=32, fraction=0.1, workers=0, device="cpu", plots=False, amp=False)
model.train(data=sys.argv[1], save_dir=os.path.abspath("train"), **small)  # else its name depends on trainings before
assert all(each in model.trainer.callbacks[name] for name, each in callbacks.items()), "upstream's own are gone"
"""


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


def test_upstreams_own_stay_and_none_is_journaled_or_sent(tmp_path: Path, training_data: Path) -> None:
    with scripted_server(hub_received) as hub:
        environment = environ(tmp_path, hub.url)
        done = subprocess.run(
            [sys.executable, "-c", WORK, str(training_data)],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert paths(hub) == []
        command = [sys.executable, "-m", "uploader", "drain", "--journal", str(tmp_path / "journal")]
        assert subprocess.run(command, env=environment, check=False).returncode == 0
        assert set(paths(hub)) == {"/v1/models", "/v1/models/m-1", "/v1/models/m-1/upload"}
    with closing(sqlite3.connect(tmp_path / "journal" / "journal.db")) as connection:
        assert connection.execute("SELECT name FROM runs").fetchall() == [("train",)]
        assert connection.execute("SELECT count(*) FROM events WHERE kind = 'usage'").fetchone() == (0,)
