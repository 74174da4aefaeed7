"""Every example does what it says it does."""

from __future__ import annotations

import configparser
import csv
import json
import os
import re
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.platform_api import Api
from support.scripted_server import hearing, scripted_server

import uploader
from uploader.server.running import running

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
ENDLESS = """
import sys, threading
from pathlib import Path
from uploader.recorder import Recorder
from uploader.sink import JournalOptions
folder = Path(sys.argv[1])
recorder = Recorder.start(JournalOptions(), project="examples", name="line", save_dir=folder, resume=False)
recorder.event("training_started", {"environment": {"uploaderRun": recorder.run_id}}, "1")
print("training", flush=True)
threading.Event().wait()
"""
KEY = "k" * 40
PYTHON = "/srv/uploader/.venv/bin/python"  # as the examples have it
PREPARED = (
    "import runpy, sys; from offline import isolate_ultralytics; from torchvision_ops import ensure_torchvision_ops;"
    "isolate_ultralytics({config!r}); ensure_torchvision_ops(); from ultralytics import settings;"
    "settings.update(runs_dir={config!r}); runpy.run_path(sys.argv[0], run_name='__main__')"
)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An environment with a journal, and a platform that can be reached."""
    with running(tmp_path / "platform", api_key=KEY) as server:
        yield {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "scripts" / "training")]),
            "UPLOADER_JOURNAL": str(tmp_path / "journal"),
            "YOLO_CONFIG_DIR": str(tmp_path / "config"),
            "ULTRALYTICS_API_KEY": KEY,
            "ULTRALYTICS_PLATFORM_URL": server.url,
        }


def run(home: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    where = Path(home["UPLOADER_JOURNAL"]).parent
    return subprocess.run([*command], env=home, cwd=where, capture_output=True, text=True, check=False)


def python(home: dict[str, str], example: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(home, sys.executable, str(EXAMPLES / example), *arguments)


def query(home: dict[str, str], text: str) -> list[tuple]:
    with closing(sqlite3.connect(Path(home["UPLOADER_JOURNAL"]) / "journal.db")) as database:
        return database.execute(text).fetchall()


def test_each_example_is_listed() -> None:
    listed = set(re.findall(r"\]\((.+?)\)", (EXAMPLES / "README.md").read_text()))
    files = {path.relative_to(EXAMPLES).as_posix() for path in EXAMPLES.rglob("*") if path.is_file()}
    assert listed == {name for name in files if "__pycache__" not in name} - {"README.md"}


@pytest.mark.training
def test_a_training_is_recorded(home: dict[str, str], training_data: Path) -> None:
    code = PREPARED.format(config=home["YOLO_CONFIG_DIR"])
    options = ["--data", str(training_data), "--epochs", "1", "--imgsz", "96"]
    # The pinned torch has no compiled torchvision beside it; a person's has.
    script = f"import sys; sys.argv.pop(0); {code}"
    done = run(home, sys.executable, "-c", script, str(EXAMPLES / "attach_training.py"), *options)
    assert done.returncode == 0, done.stderr
    assert query(home, "SELECT name, epochs, last_milestone FROM run_overview") == [
        ("attached", 1, "training_complete")
    ]


def test_a_loop_of_ones_own_goes_on_as_the_same_run_is_delivered_by_cron_and_read(
    home: dict[str, str], tmp_path: Path
) -> None:
    options = ["--folder", str(tmp_path / "line"), "--epochs", "40"]
    assert python(home, "own_loop.py", *options, "--kill-after", "9").returncode == -signal.SIGKILL
    done = python(home, "own_loop.py", *options)
    assert done.returncode == 0, done.stderr
    assert query(home, "SELECT epochs, sessions FROM run_overview") == [(40, 2)]

    (line,) = [line for line in (EXAMPLES / "drain.crontab").read_text().splitlines() if line.startswith("*/10")]
    command = line.split(None, 5)[5].replace(PYTHON, shlex.quote(sys.executable))
    drained = run(home, "sh", "-c", command)
    assert drained.returncode == 0, drained.stdout + drained.stderr
    assert drained.stdout.count("View model at") == 1  # two sessions, one model

    read = run(home, sys.executable, "-I", str(EXAMPLES / "read_journal.py"), home["UPLOADER_JOURNAL"])
    assert read.returncode == 0, read.stderr
    assert "line: 40 epochs, 45 events, training_complete" in read.stdout
    assert "44 delivered, 0 pending, 0 refused" in read.stdout
    assert "train/loss: 6.265 -> " in read.stdout
    assert "checkpoint final of epoch 39" in read.stdout

    table = python(home, "metrics_table.py", str(tmp_path / "metrics.csv"), "examples/line")
    assert table.returncode == 0, table.stderr
    assert "examples/line is finished: 40 epochs of epoch, recorded_at, train/loss" in table.stdout
    assert "final of epoch 39: " in table.stdout
    with (tmp_path / "metrics.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [int(line["epoch"]) for line in lines] == list(range(40))
    assert float(lines[0]["train/loss"]) > float(lines[39]["train/loss"])


@pytest.mark.upstream
def test_a_pytorch_loop_has_the_same_numbers_in_the_journal_and_on_the_platform(
    home: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["--folder", str(tmp_path / "line"), "--epochs", "6"]
    killed = python(home, "pytorch_loop.py", *options, "--kill-after", "2")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    done = python(home, "pytorch_loop.py", *options)
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in (killed.stdout + done.stdout).splitlines()]
    assert [each["epoch"] for each in told] == list(range(6))

    table = uploader.open(home["UPLOADER_JOURNAL"]).run().metrics()
    assert [{name: table[name][step] for name in told[0]} for step in range(6)] == told

    for name in ("ULTRALYTICS_API_KEY", "ULTRALYTICS_PLATFORM_URL"):
        monkeypatch.setenv(name, home[name])
    assert uploader.drain(home["UPLOADER_JOURNAL"]).exit_code == 0
    model = Api(home["ULTRALYTICS_PLATFORM_URL"], KEY).model("pytorch", "examples")
    assert [{"epoch": each["epoch"], **each["metrics"]} for each in model["trainResults"]] == told
    assert (model["status"], model["metrics"]["val/loss"]) == ("completed", min(each["val/loss"] for each in told))


def test_systemd_keeps_a_drain_running_that_delivers_and_ends_well(home: dict[str, str], tmp_path: Path) -> None:
    assert python(home, "own_loop.py", "--folder", str(tmp_path / "line"), "--epochs", "3").returncode == 0
    unit = configparser.ConfigParser(interpolation=None)
    unit.read(EXAMPLES / "uploader-drain.service")
    service = unit["Service"]
    command = shlex.split(service["ExecStart"].replace(PYTHON, sys.executable))
    script, complete = hearing("training_complete")
    with scripted_server(script) as server:
        there = {**home, "ULTRALYTICS_PLATFORM_URL": server.url}
        with subprocess.Popen(command, env=there, cwd=tmp_path) as process:
            try:
                assert complete.wait(60)
                process.send_signal(signal.Signals[service["KillSignal"]])
                process.wait(int(service["TimeoutStopSec"]))
            finally:
                process.kill()
    assert process.returncode == 0  # so `Restart=on-failure` leaves it


def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here")
    text = (EXAMPLES / "uploader-drain.service").read_text().replace(PYTHON, sys.executable)
    (tmp_path / "uploader-drain.service").write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / "uploader-drain.service")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "uploader-drain.service" not in done.stderr, done.stderr


def test_four_nodes_of_a_cluster_are_delivered_from_its_login_node(home: dict[str, str], tmp_path: Path) -> None:
    """Each has a disk of its own, and no network; one is told to end, as when its time is up."""
    nodes = []
    for number in range(4):
        disk = tmp_path / f"node-{number}"
        disk.mkdir()
        names = {"SLURM_ARRAY_JOB_ID": "17", "SLURM_ARRAY_TASK_ID": str(number), "SLURM_TMPDIR": str(disk)}
        alone = {name: value for name, value in home.items() if not name.startswith(("ULTRALYTICS_", "UPLOADER_"))}
        shared = {"PACKS": str(tmp_path / "packs"), "PYTHON": sys.executable, "HOME": str(disk)}
        training = [sys.executable, str(EXAMPLES / "own_loop.py"), "--folder", str(disk / "line"), "--epochs", "5"]
        if number == 3:
            training = [sys.executable, "-c", ENDLESS, str(disk / "line")]
        command = ["bash", str(EXAMPLES / "array.sbatch"), *training]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "text": True}
        nodes.append(subprocess.Popen(command, env={**alone, **names, **shared}, cwd=disk, **pipes))
    stopped = nodes[3]
    assert stopped.stdout is not None
    assert stopped.stdout.readline() == "training\n"
    stopped.send_signal(signal.SIGTERM)
    codes = [node.wait(60) for node in nodes]
    for node in nodes:
        assert node.stdout is not None
        node.stdout.close()
    assert codes == [0, 0, 0, 143]
    packs = sorted((tmp_path / "packs").iterdir())
    assert [pack.name for pack in packs] == [f"17-{number}.pack" for number in range(4)]
    login = {**home, "HOME": str(tmp_path / "login")}
    for made in (3 * 8 + 2, 0):  # a start, five epochs, a checkpoint and an end; of the last one a start and an end
        drained = run(login, sys.executable, "-m", "uploader", "drain", *map(str, packs), "--json")
        assert drained.returncode == 0, drained.stdout + drained.stderr
        assert sum(one["delivered"] for one in json.loads(drained.stdout)["destinations"]) == made
    models = Api(home["ULTRALYTICS_PLATFORM_URL"], KEY).get("/api/models/local/examples")["models"]
    assert sorted(model["status"] for model in models) == ["completed", "completed", "completed", "failed"]
