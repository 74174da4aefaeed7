"""`uploader exec` records what trains below it, once, and is otherwise as if it were not there."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.terminals import Session

from uploader.__main__ import main

ROOT = Path(__file__).parents[2]
SMALL = ROOT / "tests" / "support" / "small_ultralytics"
SCRIPT = "import sys\nfrom ultralytics import YOLO\nYOLO().train(name=sys.argv[1], save_dir=sys.argv[1])\n"
UNRECORDED = "no training was recorded"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A place for one test, with a `sitecustomize` of somebody else's on the path."""
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "sitecustomize.py").write_text("import sys\nsys.theirs = True\n")
    (tmp_path / "train.py").write_text(SCRIPT)
    search = [str(theirs), str(SMALL), str(ROOT)]
    return {**os.environ, "UPLOADER_JOURNAL": str(tmp_path / "journal"), "PYTHONPATH": os.pathsep.join(search)}


def execute(
    environment: Mapping[str, str], *command: str, options: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    whole = [sys.executable, "-m", "uploader", "exec", *options, "--", *command]
    folder = environment["UPLOADER_JOURNAL"]
    return subprocess.run(whole, env=environment, cwd=Path(folder).parent, capture_output=True, text=True)


def recorded(folder: str | Path) -> Counter[str]:
    """Return how many runs of each name the journal has."""
    with sqlite3.connect(Path(folder) / "journal.db") as journal:
        found = Counter(name for (name,) in journal.execute("SELECT name FROM runs"))
    journal.close()
    return found


def outcomes(folder: str | Path) -> list[str]:
    with sqlite3.connect(Path(folder) / "journal.db") as journal:
        found = [outcome for (outcome,) in journal.execute("SELECT outcome FROM sessions ORDER BY id")]
    journal.close()
    return found


EVERY_WAY = """
import multiprocessing, os, subprocess, sys
from ultralytics import YOLO
from ultralytics.engine.trainer import BaseTrainer

import uploader

def train(name):
    YOLO().train(name=name, save_dir=name)

def rank(number):
    subprocess.run([sys.executable, "train.py", "worker"], env={**os.environ, "RANK": str(number)}, check=True)

if __name__ == "__main__":
    train("here")
    BaseTrainer({"name": "trainer", "save_dir": "trainer"}).train()
    model = uploader.attach(YOLO(), name="theirs")
    model.train(name="own", save_dir="own")
    trainer = BaseTrainer({"name": "attached", "save_dir": "attached"})
    uploader.attach(trainer).train()
    uploader.detach(YOLO()).train(name="detached", save_dir="detached")
    YOLO().tune("iteration")
    subprocess.run([sys.executable, "-m", "train", "module"], check=True)
    for method in ("spawn", "fork"):
        child = multiprocessing.get_context(method).Process(target=train, args=(method,))
        child.start()
        child.join()
    rank(0)
    rank(1)
"""
EACH_ONCE = "here trainer theirs attached iteration module spawn fork worker".split()


def test_each_training_is_recorded_once_wherever_it_runs(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "every.py").write_text(EVERY_WAY)
    done = execute(environment, sys.executable, "every.py")
    assert done.returncode == 0, done.stderr
    assert recorded(tmp_path / "journal") == Counter(EACH_ONCE), done.stderr
    assert outcomes(tmp_path / "journal") == ["complete"] * len(EACH_ONCE)
    assert UNRECORDED not in done.stderr


SHOWN = "import json, sys; print(json.dumps([sys.path, sorted(sys.modules), sys.modules['sitecustomize'].__file__]))"


def test_a_python_below_is_as_it_would_be(environment: dict[str, str]) -> None:
    direct = subprocess.run([sys.executable, "-c", SHOWN], env=environment, cwd=ROOT, capture_output=True, text=True)
    below = execute(environment, sys.executable, "-c", f"import os; os.chdir({str(ROOT)!r}); {SHOWN}")
    path, modules, sitecustomize = json.loads(direct.stdout)
    assert "theirs" in sitecustomize
    assert json.loads(below.stdout) == [path, sorted([*modules, "offline_uploader_hook"]), sitecustomize]


def test_a_python_without_a_sitecustomize_has_none(environment: dict[str, str]) -> None:
    done = execute(
        {**environment, "PYTHONPATH": str(ROOT)},
        sys.executable,
        "-c",
        "import sys; print('sitecustomize' in sys.modules)",
    )
    expected = subprocess.run(
        [sys.executable, "-c", "import sys; print('sitecustomize' in sys.modules)"], capture_output=True, text=True
    )
    assert done.stdout == expected.stdout


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["sh", "-c", "exit 7"], 7),
        (["sh", "-c", "kill -TERM $$"], -signal.SIGTERM),
        (["sh", "-c", "kill -KILL $$"], -signal.SIGKILL),
        (["sh", "-c", "rm $UPLOADER_EXEC_NOTES; exit 5"], 5),
        (["./shell"], 9),
        (["no-such-command"], 127),
        (["sh", "-c", "no-such-command"], 127),
        ([""], 127),
        (["/"], 126),
    ],
)
def test_it_ends_as_the_command_does(
    environment: dict[str, str], tmp_path: Path, command: list[str], code: int
) -> None:
    (tmp_path / "shell").write_text("exit 9\n")  # which no line names as the shell's
    (tmp_path / "shell").chmod(0o755)
    done = execute(environment, *command)
    assert done.returncode == code
    assert (UNRECORDED in done.stderr) == (code not in (5, 126, 127))  # without the notes it is not known
    assert "Traceback" not in done.stderr


LISTENS = """
import signal, sys
heard = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCONT}
signal.pthread_sigmask(signal.SIG_BLOCK, heard)
print("terminal", sys.stdin.isatty(), flush=True)
while (number := signal.sigwait(heard)) != signal.SIGUSR2:
    print("got", signal.Signals(number).name, flush=True)
sys.exit(3)
"""


def test_signals_reach_the_command(environment: dict[str, str]) -> None:
    whole = [sys.executable, "-m", "uploader", "exec", "--", sys.executable, "-c", LISTENS]
    with subprocess.Popen(
        whole, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "terminal False\n"
        heard = []
        for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"):
            process.send_signal(getattr(signal, name))
            heard.append(process.stdout.readline())
        process.send_signal(signal.SIGUSR2)  # ends it, whatever was heard
        assert (heard, process.wait()) == (["got SIGINT\n", "got SIGTERM\n", "got SIGHUP\n", "got SIGUSR1\n"], 3)


def test_what_the_terminal_sends_arrives_once_and_stops_and_continues_the_job(environment: dict[str, str]) -> None:
    """By a shell that controls its jobs: it stops one only when the process that it knows stops."""
    shell = {**environment, "PS1": "ready> ", "PYTHON": sys.executable, "LISTENS": LISTENS, "TERM": "dumb"}
    with Session(["bash", "--norc", "--noediting", "-i"], shell) as terminal:
        terminal.wait_for("ready> ")
        terminal.type('"$PYTHON" -m uploader exec -- "$PYTHON" -c "$LISTENS"\n')
        terminal.wait_for("terminal True")
        terminal.type("\x03")
        terminal.wait_for("got SIGINT")
        terminal.type("\x1a")
        terminal.wait_for("Stopped")
        terminal.type("fg\n")
        terminal.wait_for("got SIGCONT")
        terminal.type("\x03")
        terminal.wait_for("got SIGINT", times=2)
        terminal.type("\x1a")
        terminal.wait_for("Stopped", times=2)
        terminal.type("kill -USR2 %1; fg; echo ended $?\n")
        terminal.wait_for("ended 3")
        assert terminal.shown.count("got SIGINT") == 2


def test_a_terminal_that_hangs_up_ends_the_command(environment: dict[str, str]) -> None:
    """Where there is no shell between, as by `ssh -t`, the system tells the first process alone."""
    waits = "import signal; print('waits', flush=True); signal.pause()"
    with Session(
        [sys.executable, "-m", "uploader", "exec", "--", sys.executable, "-c", waits], environment
    ) as terminal:
        terminal.wait_for("waits")
    assert terminal.exit_code == -signal.SIGHUP


def test_a_killed_training_is_in_the_journal(environment: dict[str, str], tmp_path: Path) -> None:
    code = "import os, signal\nfrom ultralytics import YOLO\nYOLO().train(during=lambda _: os.kill(os.getpid(), 9))"
    inside = {**environment, "UPLOADER_ENABLED": "0"}  # which is for an environment; this was asked for by hand
    done = execute(inside, sys.executable, "-c", code, options=("--name", "told", "--project", "Mine"))
    assert done.returncode == -signal.SIGKILL
    assert recorded(tmp_path / "journal") == Counter(["told"])
    assert UNRECORDED not in done.stderr
    with sqlite3.connect(tmp_path / "journal" / "journal.db") as journal:
        assert ("epoch_end",) in journal.execute("SELECT kind FROM events").fetchall()
    journal.close()


@pytest.mark.parametrize("options", [("--max-size", "much"), ("--base-url", "nowhere"), ("--journal", __file__)])
def test_options_that_no_training_could_begin_with_run_nothing(tmp_path: Path, options: tuple[str, str]) -> None:
    set_there = dict.fromkeys(("UPLOADER_EXEC_OPTIONS", "UPLOADER_EXEC_NOTES", "UPLOADER_MAX_SIZE", "PYTHONPATH"), "")
    done = CliRunner().invoke(main, ["exec", *options, "--", "touch", str(tmp_path / "ran")], env=set_there)
    assert (done.exit_code, (tmp_path / "ran").exists()) == (2, False), done.output
    assert "UPLOADER_MAX_SIZE" not in done.output  # the option was given


def test_a_training_that_cannot_be_recorded_runs_all_the_same(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "hiding").mkdir()
    (tmp_path / "hiding" / "uploader.py").touch()
    code = "import sys; sys.path.insert(0, 'hiding'); from ultralytics import YOLO; print(YOLO().train())"
    done = execute(environment, sys.executable, "-c", code)
    assert (done.returncode, done.stdout) == (0, "trained\n")
    assert done.stderr.count("what this process trains is not recorded") == 1
    assert UNRECORDED in done.stderr
