"""`python -m uploader status` of many runs, in real terminals and out of them."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from support.journals import ROOT
from support.recordings import recordings
from support.terminals import Terminal, in_terminal, widest, without_styles

from journal.reading.drain_at_work import HOLDER, DrainAtWork, DrainProgress

URL = "http://127.0.0.1:9"
BLOCKED = {"train-4": "this key may not write to the project", "train-17": "the model was deleted there"}


@pytest.fixture(scope="module")
def thirty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal of thirty runs that have arrived, but for two that were refused and one that waits."""
    folder = tmp_path_factory.mktemp("many") / "journal"
    with recordings(folder, durability="process") as made:
        for number in range(30):
            training = made.begin(f"train-{number}", project="warehouse")
            training.started(epochs=3)
            training.event("epoch_end", {"epoch": 0, "metrics": {"metrics/mAP50(B)": number / 100}}, "0")
            training.complete()
            training.end("complete")
            made.writer.route(training.run.id, "ultralytics", URL)
    with closing(sqlite3.connect(folder / "journal.db")) as database, database:
        database.execute("UPDATE targets SET state = 'registered', planned_through = 1000")
        for name, why in BLOCKED.items():
            chosen = "run_id = (SELECT id FROM runs WHERE name = ?)"
            database.execute(f"UPDATE targets SET state = 'blocked', reason = ? WHERE {chosen}", (why, name))
        database.execute(
            "UPDATE targets SET planned_through = 0 WHERE run_id = (SELECT id FROM runs WHERE name = 'train-9')"
        )
        database.execute("UPDATE targets SET ids = json_object('modelUrl', ?)", (f"{URL}/me/warehouse/m",))
    return folder


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "COLUMNS", "LINES"}}
    return {
        **own,
        "TERM": "xterm-256color",
        "ULTRALYTICS_PLATFORM_URL": URL,
        "ULTRALYTICS_API_KEY": "ul_key",
        "UPLOADER_FALLBACK": str(tmp_path / "fallback"),
    }


def status(folder: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "uploader", "status", "--journal", str(folder), *options]


def piped(folder: Path, environment: dict[str, str], *options: str) -> str:
    done = subprocess.run(
        status(folder, *options), cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_a_low_screen_has_the_causes_before_what_has_arrived(thirty: Path, environment: dict[str, str]) -> None:
    shown = without_styles(in_terminal(status(thirty), environment, 160, 24)[1])
    assert shown.count("refused as a whole: ") == 2
    assert 4 <= sum(line.startswith("warehouse/") and "finished" in line for line in shown.splitlines()) < 10


@pytest.mark.parametrize("columns", [80, 160])
def test_one_screen_of_forty_lines_shows_those_in_trouble_and_what_to_do(
    thirty: Path, environment: dict[str, str], columns: int
) -> None:
    code, shown = in_terminal(status(thirty), environment, columns, 40)
    lines = without_styles(shown).rstrip("\n").split("\n")
    (titles,) = [number for number, line in enumerate(lines) if line.startswith("RUN ")]
    assert code == 0
    assert sum(-(-max(1, len(line)) // columns) for line in lines) < 40
    assert widest("\n".join(line for line in lines if line.startswith(("RUN ", "warehouse/")))) <= columns
    assert "2 in trouble, 1 waiting, 27 delivered (not verified)" in lines
    assert f"{URL}: 27 of 30 runs delivered" in lines
    assert [line.split()[0] for line in lines[titles + 1 : titles + 4]] == [
        "warehouse/train-17",
        "warehouse/train-4",
        "warehouse/train-9",
    ]
    assert "1/3" in lines[titles + 1]
    assert "0.17" in lines[titles + 1]
    text = " ".join(" ".join(lines).split())
    for why in BLOCKED.values():
        assert f"refused as a whole: {why} remove the cause, then `python -m uploader retry --all" in text
    assert f"status --all --journal {thirty}` shows them" in text
    assert (f"{URL}/me/warehouse/m" in lines[titles + 1]) == (columns == 160)
    assert "\x1b]8;id=" in shown  # the name leads to the model's page in any case


@pytest.mark.parametrize("variable", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_there_are_no_colours_where_a_terminal_wants_none(
    thirty: Path, environment: dict[str, str], variable: dict[str, str]
) -> None:
    assert "\x1b[" in in_terminal(status(thirty), environment, 80)[1]
    assert "\x1b" not in in_terminal(status(thirty), {**environment, **variable}, 80)[1]


def test_a_pipe_gets_whole_lines_without_colours(thirty: Path, environment: dict[str, str]) -> None:
    of_a_calling_python = {"COLUMNS": "80", "LINES": "24"}  # its readline leaves them there
    shown = piped(thirty, {**environment, **of_a_calling_python})
    assert "\x1b" not in shown
    assert re.search(f"blocked +127.0.0.1:9 +{URL}/me/warehouse/m\n", shown)
    assert len(shown.splitlines()) < 40
    everything = piped(thirty, environment, "--all")
    assert sum(line.startswith("warehouse/train-") and "finished" in line for line in everything.splitlines()) == 30


def test_runs_are_chosen_by_state_by_age_and_by_name(thirty: Path, environment: dict[str, str]) -> None:
    def names(*options: str) -> set[str]:
        runs = json.loads(piped(thirty, environment, "--json", *options))["runs"]
        return {run["name"] for run in runs}

    assert names("--state", "trouble") == BLOCKED.keys()
    assert names("--state", "waiting", "--state", "trouble") == {*BLOCKED, "train-9"}
    assert len(names("--state", "finished")) == len(names("--since", "1d")) == 30
    assert names("--run", "train-9", "--run", "warehouse/train-4") == {"train-9", "train-4"}
    one = piped(thirty, environment, "--run", "train-4")
    assert f"  {URL}: 0 delivered\n    refused as a whole: this key may not write to the project\n" in one
    assert f"\n    View model at {URL}/me/warehouse/m\n" in one
    assert "train-5" not in one
    done = subprocess.run(status(thirty, "--run", "nobody"), cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (done.returncode, "fits no run" in done.stderr) == (2, True)


def test_a_drain_at_work_is_told_in_any_shell_and_has_a_key_of_its_own(
    thirty: Path, environment: dict[str, str]
) -> None:
    elsewhere = {name: value for name, value in environment.items() if not name.startswith("ULTRALYTICS_")}
    assert "paused: no key for it here" in piped(thirty, elsewhere, "--run", "train-9")
    DrainAtWork(progress=DrainProgress(120, 3_000_000, 400, 20_000_000, 130.0)).write(thirty)
    try:
        shown = piped(thirty, elsewhere, "--run", "train-9")
        told = json.loads(piped(thirty, elsewhere, "--json"))["drain"]["progress"]
    finally:
        (thirty / HOLDER).unlink()
    assert f"a drain is at work: process {os.getpid()} on " in shown
    assert "\n  120 deliveries made (3 MB), about 400 left, done in about 2 min\n" in shown
    assert "paused" not in shown
    assert (told["delivered"], told["left"], told["left_bytes"]) == (120, 400, 20_000_000)


def test_json_tells_what_the_table_does(thirty: Path, environment: dict[str, str]) -> None:
    (run,) = json.loads(piped(thirty, environment, "--json", "--run", "train-17"))["runs"]
    assert (run["epochs"], run["planned_epochs"], run["standing"]) == (1, 3, "trouble")
    assert run["metric"] == {"name": "metrics/mAP50(B)", "value": 0.17}
    assert [target["page"] for target in run["targets"]] == [f"{URL}/me/warehouse/m"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_watching_leaves_the_terminal_as_it_was(
    thirty: Path, environment: dict[str, str], number: signal.Signals
) -> None:
    with Terminal(status(thirty, "--watch"), environment) as terminal:
        terminal.wait_for("2 in trouble")
        terminal.process.send_signal(number)
        shown = terminal.rest()
    assert terminal.process.returncode == 0
    assert "\x1b[?1049h" in shown  # a screen of its own,
    assert shown.index("\x1b[?1049h") < shown.index("\x1b[?1049l")  # which is left
    assert shown.index("\x1b[?25l") < shown.index("\x1b[?25h")  # with a cursor


def test_what_is_watched_through_a_pipe_is_printed_when_it_changes(environment: dict[str, str], tmp_path: Path) -> None:
    with recordings(tmp_path / "journal") as made:
        made.begin("first").end("complete")
        command = status(tmp_path / "journal", "--watch")
        with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            next(line for line in process.stdout if "1 waiting" in line)
            made.begin("second").end("complete")
            next(line for line in process.stdout if "2 waiting" in line)
            process.send_signal(signal.SIGINT)
            process.stdout.read()
        assert process.returncode == 0


def test_watching_is_for_people(thirty: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(status(thirty, "--watch", "--json"), env=environment, capture_output=True, text=True)
    assert (done.returncode, "status --json" in done.stderr) == (2, True)


def test_what_draws_is_imported_for_terminals_alone(thirty: Path, environment: dict[str, str]) -> None:
    code = f"""
import sys
from click.testing import CliRunner
from uploader.__main__ import main
for options in ([], ["--json"]):
    assert CliRunner().invoke(main, ["status", "--journal", {str(thirty)!r}, *options]).exit_code == 0
assert "rich" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=True)


def test_the_figure_is_that_of_the_last_step_whenever_it_was_recorded(tmp_path: Path) -> None:
    with recordings(tmp_path / "journal") as made:
        training = made.begin()
        for step in (9, 10, 0):
            training.event("epoch_end", {"epoch": step, "metrics": {"a": step}}, str(step))
        again = made.begin()
        again.event("epoch_end", {"epoch": 1, "metrics": {"a": 1}}, "1")
        again.event("epoch_end", {"epoch": 1, "metrics": {"a": 2}}, "1")
        found = made.journal.details([training.run.id, again.run.id])
    metrics = [found[one.run.id].metric for one in (training, again)]
    assert [one and one.value for one in metrics] == [10.0, 2.0]


def test_what_is_not_sent_is_as_large_as_what_will_be(tmp_path: Path) -> None:
    """Of the checkpoints of a training, platforms are sent what it ends with: the others are larger, and stay here."""
    with recordings(tmp_path / "journal") as made:
        training = made.begin()
        for role, size in (("last", 40_000), ("best", 30_000)):
            training.checkpoint(role.encode() * size, role, publish=False)
        training.checkpoint(b"f" * 10_000, "final")
        [waiting] = made.journal.details([training.run.id]).values()
        assert 10_000 < waiting.unplanned_bytes < 11_000
