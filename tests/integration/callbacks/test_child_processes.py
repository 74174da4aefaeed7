"""Trainings that upstream starts in processes of its own are recorded, and run as they do without us."""

from __future__ import annotations

import copy
import inspect
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

import uploader
from uploader.callbacks.child_processes import LAUNCHER, recorded_command, recording_child_processes

ROOT = Path(__file__).parents[3]
COMMAND_LINE = [sys.executable, "-m", "ultralytics.cfg.__init__"]
# Torch and Ultralytics need not be there for what is asked here: whether a process is as it would be without us.
TELL = "import json, sys; print(json.dumps([__name__, sys.argv, sys.path, 'platform' in sys.modules]))"


@pytest.fixture
def shims(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the processes that are started find torchvision importable, and this project."""
    folder = tmp_path / "shims"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        "import sys\n"
        "if any('ultralytics' in part or 'ddp.py' in part for part in sys.orig_argv):\n"
        "    from torchvision_ops import ensure_torchvision_ops\n    ensure_torchvision_ops()\n"
    )
    search = [str(folder), str(ROOT), str(ROOT / "scripts" / "training")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(search))


def run(*arguments: str, cwd: Path) -> Any:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, check=True, env={"PATH": os.defpath}
    )
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


@pytest.mark.parametrize("command", [["tell.py", "a", "b=c"], ["-m", "tell", "a", "b=c"]])
def test_a_launched_process_is_as_it_would_be(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "tell.py").write_text(TELL)
    direct, _ = run(*command, cwd=tmp_path)
    launched, words = run(LAUNCHER, "no description", *command, cwd=tmp_path)
    name, arguments, path, _ = direct
    assert launched[:2] == [name, arguments]
    assert launched[2] == (path if str(ROOT) in path else [*path, str(ROOT)])
    assert "this training is not recorded (JSONDecodeError" in words or "ModuleNotFoundError" in words


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ([*COMMAND_LINE, "train", "data=a"], [sys.executable, LAUNCHER, "{}", *COMMAND_LINE[1:], "train", "data=a"]),
        (
            ["python", "-m", "torch.distributed.run", "--nproc_per_node", "2", "ddp.py"],
            ["python", "-m", "torch.distributed.run", "--nproc_per_node", "2", LAUNCHER, "{}", "ddp.py"],
        ),
        (["nvidia-smi", "-m"], None),
        ([], None),
    ],
)
def test_commands_are_known_by_what_upstream_runs(command: list[str], expected: list[str] | None) -> None:
    assert recorded_command(command, "{}") == expected


def test_an_unknown_command_runs_and_is_said_not_to_be_recorded(
    ultralytics: Any, journal: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "ultralytics" / "cfg").mkdir(parents=True)  # one that ends at once
    (tmp_path / "ultralytics" / "__init__.py").touch()
    (tmp_path / "ultralytics" / "cfg" / "__init__.py").write_text("raise SystemExit(9)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(logging.getLogger("ultralytics"), "propagate", True)
    from ultralytics.engine import trainer as upstream

    model = uploader.attach(ultralytics.YOLO("yolo11n.yaml"), journal=journal.folder)
    with recording_child_processes(model.callbacks.recorder):
        assert upstream.subprocess.run([sys.executable, "-c", "raise SystemExit(7)"]).returncode == 7
        assert "not recorded: its command is unknown" in caplog.text
    caplog.clear()
    upstream.subprocess.run([sys.executable, "-c", ""], check=True)
    assert caplog.text == ""
    with (
        recording_child_processes(model.callbacks.recorder),
        pytest.raises(upstream.subprocess.CalledProcessError) as failed,
    ):
        upstream.subprocess.run([*COMMAND_LINE, "unknown"], check=True, capture_output=True)
    assert (failed.value.cmd, failed.value.returncode) == ([*COMMAND_LINE, "unknown"], 9)  # as upstream would show it


@pytest.mark.training
@pytest.mark.usefixtures("shims")
def test_a_training_on_several_data_sets_runs_as_without_us_and_is_recorded(
    ultralytics: Any, journal: Any, train_arguments: dict[str, Any], tmp_path: Path
) -> None:
    model = uploader.attach(ultralytics.YOLO("yolo11n.yaml"), journal=journal.folder)
    arguments = {**train_arguments, "project": str(tmp_path / "Sweep 1")}
    del arguments["save_dir"]
    model.train(**{**arguments, "data": [arguments["data"]]})
    assert model.trainer.trainer is None  # by the command line, in a process of its own
    assert journal.runs() == [("sweep-1", Path(arguments["data"]).parent.name)]
    assert journal.outcomes() == ["complete"]
    (started,) = journal.events("training_started")
    assert "ultralytics/cfg/__init__.py train" in started["environment"]["command"]
    assert LAUNCHER not in started["environment"]["command"]


@pytest.mark.training
@pytest.mark.usefixtures("shims")
def test_a_worker_without_pickled_callbacks_records(
    ultralytics: Any, journal: Any, train_arguments: dict[str, Any], tmp_path: Path
) -> None:
    """Up to 8.4.15x the file that workers run carries no callbacks."""
    file = tmp_path / "ddp.py"
    overrides = {**train_arguments, "model": "yolo11n.yaml"}
    file.write_text(
        "from ultralytics.models.yolo.detect import DetectionTrainer\n"
        f"trainer = DetectionTrainer(overrides={overrides!r})\n"
        "trainer.add_callback('on_train_end', lambda trainer: print('before ours'))\n"
        "trainer.run_callbacks('teardown')\n"
    )
    model = uploader.attach(ultralytics.YOLO("yolo11n.yaml"), journal=journal.folder, name="told")
    description = json.dumps(asdict(model.callbacks.recorder))
    subprocess.run([sys.executable, LAUNCHER, description, str(file)], check=True)  # as the launcher of torch does
    assert journal.runs() == [("my-project", "told")]
    assert journal.kinds() == ["training_started"]


@pytest.mark.parametrize("copied", [lambda model: cloudpickle.loads(cloudpickle.dumps(model)), copy.deepcopy])
def test_a_model_that_is_pickled_or_copied_trains_recorded(
    ultralytics: Any, journal: Any, copied: Callable[[Any], Any]
) -> None:
    """As Ray's trials are: the model is loaded, its callbacks are reset, and it trains."""
    model = uploader.attach(ultralytics.YOLO("yolo11n-cls.yaml"), journal=journal.folder)
    assert inspect.signature(model.train) == inspect.signature(ultralytics.YOLO("yolo11n-cls.yaml").train)
    loaded = copied(model)
    loaded.reset_callbacks()
    assert loaded.callbacks.recorder == model.callbacks.recorder
    assert loaded.train.owner is loaded


@pytest.mark.parametrize("method", ["train", "tune"])
def test_lists_that_were_replaced_as_a_whole_are_recorded_when_training_starts(
    ultralytics: Any, journal: Any, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    model = ultralytics.YOLO("yolo11n.yaml")
    seen: list[Callable[..., Any]] = []
    monkeypatch.setattr(type(model), method, lambda self, **_: seen.append(self.callbacks))
    uploader.attach(model, journal=journal.folder)
    model.callbacks = {"on_train_end": []}
    getattr(model, method)(epochs=1)
    assert [lists.recorder for lists in seen] == [model.uploader_attached]
    uploader.detach(model)
    getattr(model, method)(epochs=1)
    assert type(seen[1]) is not type(seen[0])
    assert method not in vars(model)
