"""The notebooks, executed from top to bottom as on their platforms, on a machine that vanishes in the middle.

Only `/content` and `/kaggle` are elsewhere, what the platforms' own modules do is done by stand-ins, and the cell that
installs the project is left out. The trainings are real.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.platform_api import Api
from support.wants import not_here

from uploader.server.running import running

try:
    import nbformat
    from ipykernel import kernelspec  # noqa: F401 - the kernel is another process
    from nbclient import NotebookClient
    from nbclient.exceptions import DeadKernelError
except ImportError:
    nbformat = None

pytestmark = pytest.mark.training

ROOT = Path(__file__).parents[2]
KEY = "k" * 40
STAND_INS = {
    "google/colab/drive.py": """
from pathlib import Path
def mount(folder):
    Path(folder, "MyDrive").mkdir(parents=True, exist_ok=True)
def flush_and_unmount():
    pass
""",
    "google/colab/userdata.py": f"def get(name):\n    return {{'ULTRALYTICS_API_KEY': '{KEY}'}}[name]\n",
    "kaggle_secrets.py": f"""
class UserSecretsClient:
    def get_secret(self, name):
        return {{'ULTRALYTICS_API_KEY': '{KEY}'}}[name]
""",
}
STARTS = """
import os, signal
from offline import isolate_ultralytics
isolate_ultralytics(os.environ["YOLO_CONFIG_DIR"])
from torchvision_ops import ensure_torchvision_ops
ensure_torchvision_ops()
from ultralytics.utils.callbacks.base import default_callbacks

def die(trainer):
    if trainer.epoch == int(os.environ["DIES_IN_EPOCH"]):
        os.kill(os.getpid(), signal.SIGKILL)

default_callbacks["on_train_epoch_start"].append(die)
"""


class Machine:
    """A machine that executes notebooks, until it vanishes."""

    def __init__(self, folder: Path, data: Path, url: str) -> None:
        self.folder = folder
        self._data = data
        self._url = url
        for name, source in STAND_INS.items():
            (folder / "stand-ins" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "stand-ins" / name).write_text(source)
        self._start = folder / "ipython" / "profile_default" / "startup" / "first.py"
        self._start.parent.mkdir(parents=True)
        self._start.write_text(STARTS)

    def execute(self, notebook: str, *, dies_in_epoch: int = -1) -> str:
        """Execute a notebook from top to bottom; return what it printed."""
        cells = nbformat.reads(self._moved((ROOT / "notebooks" / notebook).read_text("utf-8")), as_version=4)
        cells.cells = [
            self._with_parameters(cell) for cell in cells.cells if "install" not in cell.metadata.get("tags", ())
        ]
        work = self.folder / "work"
        for place in (work, self.folder / "home"):
            place.mkdir(exist_ok=True)
        client = NotebookClient(
            cells, timeout=600, kernel_name=self._kernel(), resources={"metadata": {"path": str(work)}}
        )
        client.execute(env=self._environment(dies_in_epoch))
        return "".join(output.get("text", "") for cell in cells.cells for output in cell.get("outputs", ()))

    def end(self) -> None:
        """End all that runs there, such as the drain beside a training."""
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get("HOME") == str(self.folder / "home"):
                    process.kill()
                    process.wait()

    def vanish(self, *kept: Path) -> None:
        """Take the machine away: all that it has, but for some folders."""
        self.end()
        for name in ("home", "work", "config", "content", "kaggle"):
            for path in (self.folder / name).glob("*"):
                if not any(path == one or path in one.parents for one in kept):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _moved(self, notebook: str) -> str:
        for name in ("content", "kaggle"):
            notebook = notebook.replace(f"/{name}/", f"{self.folder}/{name}/").replace(
                f'/{name}\\"', f'{self.folder}/{name}\\"'
            )
        return notebook

    def _with_parameters(self, cell: Any) -> Any:
        if "parameters" in cell.metadata.get("tags", ()):
            small = {"MODEL": "yolo11n.yaml", "DATA": str(self._data), "EPOCHS": 2, "IMGSZ": 32}
            cell.source += "\n" + "\n".join(f"{name} = {value!r}" for name, value in small.items())
        return cell

    def _kernel(self) -> str:
        spec = self.folder / "jupyter" / "kernels" / "here" / "kernel.json"
        spec.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        spec.write_text(json.dumps({"argv": command, "display_name": "here", "language": "python"}))
        return "here"

    def _environment(self, dies_in_epoch: int) -> dict[str, str]:
        paths = (ROOT, ROOT / "scripts" / "training", self.folder / "stand-ins")
        return {
            **os.environ,
            "DIES_IN_EPOCH": str(dies_in_epoch),
            "HOME": str(self.folder / "home"),
            "IPYTHONDIR": str(self.folder / "ipython"),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join(str(path) for path in paths),
            "ULTRALYTICS_PLATFORM_URL": self._url,
            "YOLO_CONFIG_DIR": str(self.folder / "config"),
        }


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Api]:
    with running(tmp_path / "platform", api_key=KEY) as server:
        yield Api(server.url, KEY)


@pytest.fixture
def machine(tmp_path: Path, platform: Api, training_data: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    if nbformat is None:
        not_here("pip install nbclient ipykernel, as the extra `test` does")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    machine = Machine(tmp_path, training_data, platform.url)
    yield machine
    machine.end()


def keep_the_drive(machine: Machine) -> None:
    machine.vanish(machine.folder / "content" / "drive")


def save_a_version(machine: Machine) -> None:
    """Its output is among the inputs of the next session."""
    saved = machine.folder / "kaggle" / "input" / "earlier" / "version"
    saved.parent.mkdir(parents=True)
    (machine.folder / "kaggle" / "working").rename(saved)
    machine.vanish(saved)
    (machine.folder / "kaggle" / "working").mkdir()


@pytest.mark.parametrize(("notebook", "vanishes"), [("colab.ipynb", keep_the_drive), ("kaggle.ipynb", save_a_version)])
def test_a_notebook_goes_on_where_its_machine_vanished(
    machine: Machine, platform: Api, notebook: str, vanishes: Callable[[Machine], None]
) -> None:
    with pytest.raises(DeadKernelError):
        machine.execute(notebook, dies_in_epoch=1)
    vanishes(machine)
    printed = machine.execute(notebook)
    assert "brought back from the mirror" in printed
    assert len(platform.get("/api/models/local/demo")["models"]) == 1
    model = platform.model("t1")
    last = 2  # of the final evaluation, as upstream numbers it
    assert ([row["epoch"] for row in model["trainResults"]], model["status"]) == ([0, 1, last], "completed")
    assert re.search(r"finished, 2 epochs.*\n.* delivered", printed)
