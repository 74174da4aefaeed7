"""The programs of docs/hub.md, trained and drained as a reader would, where no HUB is in reach while training."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import requests
from packaging.version import Version

import uploader
from uploader.server.running import RunningServer, running

pytestmark = pytest.mark.training

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "hub.md").read_text("utf-8")
[NEW_MODEL, OLD_MODEL] = re.findall(r"```python\n(.+?)\n```", DOCUMENT, re.DOTALL)
[DRAIN] = re.findall(r"```bash\n(.+?)\n```", DOCUMENT, re.DOTALL)
KEY = "hub_document_key"
HERE = "save_dir=os.path.abspath('run')"  # else it is beside those of other trainings
QUICK = f"imgsz=64, batch=4, fraction=0.2, workers=0, device='cpu', plots=False, {HERE}"
# The pinned torch has no compiled torchvision beside it; a person's has.
START = (
    "import os\nfrom offline import isolate_ultralytics\nfrom torchvision_ops import ensure_torchvision_ops\n"
    "isolate_ultralytics(os.environ['YOLO_CONFIG_DIR'])\nensure_torchvision_ops()\n"
)


def run(folder: Path, *command: str) -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("ULTRALYTICS_", "HUB_"))},
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "scripts" / "training")]),
        "UPLOADER_JOURNAL": str(folder / "journal"),
        "YOLO_CONFIG_DIR": str(folder / "config"),
    }
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def train(folder: Path, program: str) -> None:
    run(folder, sys.executable, "-c", START + program)


def drain(folder: Path, server: RunningServer) -> None:
    run(folder, "bash", "-ec", DRAIN.replace("http://127.0.0.1:8765", server.url).replace("…", KEY))


def ask(server: RunningServer, method: str, path: str, **options: Any) -> Any:
    url = f"{server.url}/v1/models{path}"
    answer = requests.request(method, url, headers={"x-api-key": KEY}, timeout=60, **options)
    answer.raise_for_status()
    return answer.json()["data"]


def test_a_new_model_needs_no_address_before_the_drain(training_data: Path, tmp_path: Path) -> None:
    program = NEW_MODEL.replace("yolo11n.pt", "yolo11n.yaml").replace("epochs=3", f"epochs=1, {QUICK}")
    train(tmp_path, program.replace("coco8.yaml", str(training_data)))
    with running(tmp_path / "platform", api_key=KEY) as server:
        drain(tmp_path, server)
        [model] = ask(server, "GET", "")["results"]
    assert (model["status"], model["meta"]["name"]) == ("trained", "yolo11n.yaml")


def test_a_loaded_model_is_trained_offline_and_stays_one_model(
    training_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wish = {
        "config": {"epochs": 2, "batchSize": 4, "imageSize": 64, "patience": 100, "device": "cpu", "cache": "False"},
        "dataset": {"name": str(training_data)},
        "lineage": {"architecture": {"name": "yolo11n"}, "parent": {}},
        "meta": {"name": "mine"},
    }
    with running(tmp_path / "platform", api_key=KEY) as server:
        monkeypatch.setenv("ULTRALYTICS_HUB_API", server.url)
        monkeypatch.setenv("HUB_API_KEY", KEY)
        made = ask(server, "POST", "", json=wish)["id"]
        program = OLD_MODEL.replace("MODEL_ID", made)
        [url] = re.findall(r'load_hub_model\("(.+?)"\)', program)
        uploader.load_hub_model(url, journal=tmp_path / "journal")
        port = int(server.url.rpartition(":")[2])
    away = f"import os\nos.environ['ULTRALYTICS_HUB_API'] = {server.url!r}\nos.environ['HUB_API_KEY'] = {KEY!r}\n"
    train(
        tmp_path,
        away + program.replace("**hub_model.train_args", f"**hub_model.train_args, fraction=0.2, workers=0, {HERE}"),
    )
    with running(tmp_path / "platform", api_key=KEY, port=port) as server:
        drain(tmp_path, server)
        [model] = ask(server, "GET", "")["results"]
        epochs = ask(server, "GET", f"/{made}/metrics")
    assert (model["id"], model["status"], model["meta"]["name"]) == (made, "trained", "mine")
    counted = [2] if Version(version("ultralytics")) >= Version("8.4") else []  # the final evaluation
    assert [each["epoch"] for each in epochs] == [0, 1, *counted]
