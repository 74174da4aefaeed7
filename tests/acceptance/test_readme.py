"""Every command of the README, run as a stranger would."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from uploader.server.running import running

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
COMMANDS = re.findall(r"```bash\n(.+?)\n```", README, re.DOTALL)
PROGRAM, READING, LOOP = re.findall(r"```python\n(.+?)\n```", README, re.DOTALL)
KEY = "k" * 40

# How each command is checked; a command that is added to the README has to be added here.
RUNS_BY_ITSELF = "scripts/quickstart"
IS_THIS_RUN = "scripts/test"
IS_THE_INSTALLATION = 'python -m pip install ".[train]"'
ENDS_AT_ONCE = {
    'export UPLOADER_JOURNAL="$HOME/uploader-journal"': 0,
    "python -m uploader drain": 0,
    "python -m uploader exec -- python train.py": 0,
    "python -m uploader export latest": 0,
    "python -m uploader import runs": 0,
    "python -m uploader show": 0,
    "python -m uploader status": 0,
    "python -m uploader where": 0,
    'python -m uploader drain --journal "$UPLOADER_JOURNAL" --max-time 600': 0,
    'sqlite3 "$UPLOADER_JOURNAL/journal.db" "SELECT * FROM run_overview"': 0,
}
RUNS_UNTIL_STOPPED = {
    "python -m uploader drain --watch": "",
    "python -m uploader serve --data platform-data": "Serving on",
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, training_data: Path) -> Iterator[dict[str, str]]:
    """An environment in which the README's program has been run, and the platform can be reached."""
    folder = tmp_path_factory.mktemp("readme")
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "scripts" / "training")]),
        "UPLOADER_JOURNAL": str(folder / "journal"),
        "YOLO_CONFIG_DIR": str(folder / "config"),
        "ULTRALYTICS_API_KEY": KEY,
        "HERE": str(folder),
    }
    shutil.copytree(training_data.parent, folder / "data")
    shutil.copy(training_data, folder / "data.yaml")
    forgotten = folder / "runs" / "forgotten"
    forgotten.mkdir(parents=True)
    (forgotten / "results.csv").write_text("epoch,train/box_loss,val/box_loss\n1,1.5,1.6\n")
    (forgotten / "args.yaml").write_text("task: detect\nmode: train\nmodel: yolo11n.yaml\nepochs: 1\n")
    (folder / "train.py").write_text("print('trained')\n")
    program = folder / "program.py"
    # The pinned torch has no compiled torchvision beside it; a person's has.
    program.write_text(
        "from offline import isolate_ultralytics\nfrom torchvision_ops import ensure_torchvision_ops\n"
        "import os\nisolate_ultralytics(os.environ['YOLO_CONFIG_DIR'])\nensure_torchvision_ops()\n"
        + PROGRAM.replace("epochs=3", "epochs=1, imgsz=96, workers=0, device='cpu', plots=False")
    )
    with running(folder / "platform", api_key=KEY) as server:
        environment["ULTRALYTICS_PLATFORM_URL"] = server.url
        trained = subprocess.run(
            [sys.executable, str(program)], env=environment, cwd=folder, capture_output=True, text=True, check=False
        )
        assert trained.returncode == 0, trained.stderr
        yield environment


def test_every_command_is_known() -> None:
    known = {RUNS_BY_ITSELF, IS_THIS_RUN, IS_THE_INSTALLATION, *ENDS_AT_ONCE, *RUNS_UNTIL_STOPPED}
    assert set(COMMANDS) == known


def test_the_test_command_is_the_one_that_ci_runs() -> None:
    assert f"step {IS_THIS_RUN}\n" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.training
def test_the_quickstart_delivers_a_killed_and_resumed_training_once() -> None:
    """One run, one model, every epoch once, the final checkpoint byte for byte: the script checks, and exits with 0."""
    environment = {**os.environ, "VENV": str(Path(sys.executable).parents[1])}
    done = subprocess.run(
        [ROOT / RUNS_BY_ITSELF], env=environment, capture_output=True, text=True, check=False, timeout=800
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert "Everything arrived, once." in done.stdout


def test_the_installation_is_understood(tmp_path: Path) -> None:
    """`scripts/test` has just installed it for real; here, that the extra exists and the words are right."""
    words = IS_THE_INSTALLATION.replace("install", "install --dry-run --no-deps --no-build-isolation --quiet")
    command = words.replace("python", sys.executable, 1)
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "does not provide the extra" not in done.stderr


@pytest.mark.training
@pytest.mark.parametrize("command", ENDS_AT_ONCE)
def test_a_command_ends_well(home: dict[str, str], command: str) -> None:
    if command.startswith("sqlite3") and shutil.which("sqlite3") is None:
        pytest.skip("no sqlite3 shell here; tests of docs/journal.md run the views through Python")
    done = subprocess.run(
        ["bash", "-c", command], env=home, cwd=home["HERE"], capture_output=True, text=True, check=False
    )
    assert done.returncode == ENDS_AT_ONCE[command], done.stderr


@pytest.mark.training
def test_the_run_is_read_in_python(home: dict[str, str]) -> None:
    command = [sys.executable, "-c", READING]
    done = subprocess.run(command, env=home, cwd=home["HERE"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"demo/t1\S* finished \[[\d.e-]+\]\n", done.stdout)


@pytest.mark.training
def test_any_loop_is_recorded(home: dict[str, str], tmp_path: Path) -> None:
    environment = {**home, "UPLOADER_JOURNAL": str(tmp_path / "journal")}
    done = subprocess.run(
        [sys.executable, "-c", LOOP + "\n" + READING.replace("metrics/mAP50(B)", "train/loss")],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("demo/loop finished [1.0, 0.5, ")


@pytest.mark.training
@pytest.mark.parametrize("command", RUNS_UNTIL_STOPPED)
def test_a_command_runs_until_it_is_stopped(home: dict[str, str], command: str) -> None:
    environment = {**home, "UPLOADER_SERVE_PORT": "0"}
    with subprocess.Popen(
        ["bash", "-c", f"exec {command}"], env=environment, cwd=home["HERE"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        if RUNS_UNTIL_STOPPED[command]:
            assert any(line.startswith(RUNS_UNTIL_STOPPED[command]) for line in process.stdout)
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
    assert process.returncode in {0, -signal.SIGTERM}
