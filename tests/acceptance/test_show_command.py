"""`uploader show`: one run at a glance, in any terminal."""

from __future__ import annotations

import json
import math
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from support.recordings import Recordings, Training, recordings
from support.scripted_server import Reply, Request, received, scripted_server
from support.terminals import in_terminal, widest, without_styles

import uploader
from uploader.__main__ import main

SHOW = [sys.executable, "-m", "uploader", "show"]
HOSTILE = "\x1b]0;owned\x07\x1b[2J\x1b[31mred\x1b[0m\u202e"
METRICS = ("metrics/precision(B)", "metrics/recall(B)", "metrics/mAP50(B)", "metrics/mAP50-95(B)")


@pytest.fixture
def journals(tmp_path: Path) -> Iterator[Recordings]:
    with recordings(tmp_path / "journal") as opened:
        yield opened


@pytest.fixture
def environment(journals: Recordings) -> dict[str, str]:
    own = {"UPLOADER_JOURNAL": str(journals.journal.path), "TERM": "xterm", "NO_COLOR": "", "PYTHONIOENCODING": "utf-8"}
    return {**{name: text for name, text in os.environ.items() if name not in {"COLUMNS", "LINES"}}, **own}


def show(environment: dict[str, str], *arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(main, ["show", *arguments], env=environment)
    assert result.exit_code == code, result.output
    return result.output


def as_json(environment: dict[str, str], *arguments: str) -> dict[str, Any]:
    return json.loads(show(environment, "--json", *arguments))


def epoch(training: Training, number: int, **more: Any) -> None:
    losses = {
        f"{part}/{name}_loss": math.exp(-number / 9) for part in ("train", "val") for name in ("box", "cls", "dfl")
    }
    metrics = {name: 1 - math.exp(-number / 9) for name in METRICS}
    payload = {"epoch": number, "metrics": {**losses, **metrics, "lr": 0.01, **more}, "fitness": 1 - 1 / (number + 1)}
    training.event("epoch_end", payload, str(number))


def detection(journals: Recordings, name: str = "t1", epochs: int = 30) -> Training:
    """Record a training as a trainer does."""
    training = journals.begin(name)
    training.started(epochs=epochs)
    for number in range(epochs):
        epoch(training, number)
        training.console(number, f"[2026-11-27 09:00:00] {number + 1}/{epochs} \x1b[1m1.2G\x1b[0m")
        training.checkpoint(f"last {number}".encode(), "last", epoch=number)
    training.checkpoint(b"final", epoch=epochs - 1)
    training.complete()
    training.end()
    return training


def refusing(request: Request) -> Reply:
    """Take all but the third epoch and uploads."""
    told = request.json()
    if request.path.endswith("/upload") or (told.get("event"), told["data"].get("epoch")) == ("epoch_end", 2):
        return Reply(422, {"error": f"no such thing {HOSTILE} " + "and why " * 30})
    return received(request)


@pytest.mark.parametrize("columns", [80, 160])
def test_it_fits_the_terminal_and_says_all_at_a_glance(
    journals: Recordings, environment: dict[str, str], columns: int
) -> None:
    training = detection(journals)
    with scripted_server(refusing) as server:
        journals.drain(server.url)
    code, shown = in_terminal(SHOW, environment, columns)
    text = without_styles(shown)
    assert code == 0
    assert columns * 0.9 < widest(shown) <= columns
    assert text.startswith("demo/t1  finished\n")
    for fact in (training.run.id, training.run.save_dir, "30 of 30; best fitness 0.9667 in epoch 30", server.url):
        assert fact in text.replace("\n          ", "")
    for title in ("box_loss  train ", "cls_loss", "dfl_loss", "mAP50-95 0.", "recall 0."):
        assert title in text
    assert re.search("[\u2801-\u28ff]{4}", text)  # a curve
    assert "30/30 1.2G" in text
    assert re.search(r"final  epoch 30  5 B\s+[0-9a-f]+  kept\s+dead", text)
    assert re.search(r"[0-9a-f]{12}  dead +epoch_end +1 attempt +id \d+\n      \S*.* no such thing red and why", text)
    assert f"{HOSTILE[:4]}" not in shown
    assert "\u202e" not in shown


def test_colours_are_for_terminals_that_want_them(journals: Recordings, environment: dict[str, str]) -> None:
    detection(journals, epochs=3)
    assert "\x1b[" in in_terminal(SHOW, environment)[1]
    assert "\x1b" not in in_terminal(SHOW, {**environment, "NO_COLOR": "1"})[1]
    assert "\x1b" not in show(environment)


def test_where_braille_cannot_be_shown_curves_are_ascii(journals: Recordings, environment: dict[str, str]) -> None:
    detection(journals, name="a-name-" + "that-is-too-long-" * 9)
    code, shown = in_terminal(SHOW, {**environment, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"})
    assert code == 0
    assert shown.isascii()
    assert "\\u" not in shown
    assert re.search(r"\*\*\*|ooo", without_styles(shown))
    assert widest(shown) <= 80


@pytest.mark.parametrize("epochs", [0, 1, 2])
def test_runs_of_few_epochs(journals: Recordings, environment: dict[str, str], epochs: int) -> None:
    training = journals.begin()
    for number in range(epochs):
        epoch(training, number)
    shown = show(environment)
    assert ("no epoch has ended yet" in shown) == (epochs == 0)
    assert ("train/box_loss 1" in shown) == (epochs == 1)
    assert ("box_loss  train 0.89" in shown) == (epochs == 2)
    training.end("exited")
    assert ("no epochs were recorded" in show(environment)) == (epochs == 0)


def test_steps_of_a_loop_have_their_own_numbers(journals: Recordings, environment: dict[str, str]) -> None:
    training = journals.begin()
    for step in (10, 20):
        payload = {"epoch": step, "metrics": {"loss": 1 / step}, "fitness": step, "revision": 1}
        training.event("epoch_end", payload, str(step))
    shown = show(environment)
    assert "steps     2; best fitness 20 in step 20" in shown
    assert ["10", "20"] in [line.split() for line in shown.splitlines()]  # below the chart


def test_epochs_without_a_number_were_recorded(journals: Recordings, environment: dict[str, str]) -> None:
    training = journals.begin()
    training.event("epoch_end", {"epoch": 0, "metrics": {"loss": math.nan}}, "0")
    training.end("exited")
    shown = show(environment)
    assert ("no epoch here has a number to draw" in shown, "no epochs were recorded" in shown) == (True, False)


def test_values_that_are_no_numbers_are_not_drawn(journals: Recordings, environment: dict[str, str]) -> None:
    training = journals.begin()
    for number in range(6):
        odd = {"train/box_loss": math.nan if number % 2 else 1.0, "val/box_loss": math.nan, "metrics/name(B)": "text"}
        epoch(training, number, **odd, always=math.inf, flag=True, constant=3)
    shown = show(environment, "--all")
    assert re.search(r"^box_loss  train 1 ", shown, re.MULTILINE)
    assert "constant  3" in shown
    assert "always" not in shown
    assert "flag" not in shown


def test_many_epochs_are_drawn_from_some_of_them(journals: Recordings, environment: dict[str, str]) -> None:
    training = journals.begin()
    for number in range(500):
        epoch(training, number)
    shown = show(environment)
    assert "drawn from 200 of 500 epochs, evenly spaced" in shown
    assert "500" in shown.split("box_loss")[1]
    assert "best fitness" not in shown  # it may not be among them
    assert len(as_json(environment)["metrics"]["epoch"]) == 500


def test_what_is_limited_says_so_and_all_shows_it(journals: Recordings, environment: dict[str, str]) -> None:
    training = detection(journals)
    training.event("epoch_end", {"epoch": 30, "metrics": {f"other/{n}": n for n in range(9)}}, "30")
    with scripted_server(refusing) as server:
        journals.drain(server.url)
    shown, everything = show(environment), show(environment, "--all")
    assert "not drawn: " in shown
    assert re.search(r"\d+ older ones not shown; --all shows them", shown)
    assert "not drawn" not in everything
    assert "older ones" not in everything
    assert everything.count("last   epoch") == 30
    assert everything.count(" delivered  ") > 30


def test_names_and_paths_take_over_no_terminal(journals: Recordings, environment: dict[str, str]) -> None:
    training = journals.begin(f"name{HOSTILE}\nsecond 名前", project=f"p{HOSTILE}")
    training.console(1, "名前\t" * 40 + HOSTILE)
    training.event("training_failed", {"error": f"boom {HOSTILE}\n\n" + "why " * 99, "code": "E"}, "1")
    training.end("failed")
    code, shown = in_terminal(SHOW, environment)
    assert code == 0
    assert "\x1b]" not in shown
    assert "\x1b[2J" not in shown
    assert without_styles(shown).startswith("pred/namered second 名前  failed\n")
    assert "error     boom red why why" in without_styles(shown)
    assert widest(shown) <= 80


def test_json_has_the_words_of_status_and_of_python(journals: Recordings, environment: dict[str, str]) -> None:
    detection(journals, epochs=3)
    told, run = as_json(environment), uploader.open(journals.journal.path).run()
    (same,) = json.loads(CliRunner().invoke(main, ["status", "--json"], env=environment).output)["runs"]
    assert {name: told[name] for name in ("id", "project", "name", "state", "epochs", "events", "targets")} == {
        name: same[name] for name in ("id", "project", "name", "state", "epochs", "events", "targets")
    }
    assert told["metrics"] == run.metrics()
    assert "\n".join(told["console"]) == run.console()
    assert [each["sha256"] for each in told["checkpoints"]] == [each.sha256 for each in run.checkpoints()]
    assert told["times"]["state"] == "finished"


def test_it_tells_how_many_images_and_plots_a_run_has(journals: Recordings, environment: dict[str, str]) -> None:
    training = detection(journals, epochs=1)
    told = show(environment), as_json(environment)
    assert "media" not in told[0]
    assert (told[1]["images"], told[1]["plots"]) == (0, 0)
    for key, form in (("0 a", "image"), ("0 a", "image"), ("1 a", "image"), ("0 b", "plot")):  # one of them again
        training.event("media", {"name": key[2:], "step": int(key[0]), "form": form}, key)
    plots = [{"type": "pr_curve"}, {"type": "confusion_matrix"}]
    training.event("training_complete", {"results": {}, "classNames": [], "plots": plots})
    assert re.search(r"^media +2 images, 3 plots$", show(environment), re.MULTILINE)
    told = show(environment), as_json(environment)
    assert (told[1]["images"], told[1]["plots"]) == (2, 3)


def test_errors_are_one_line(journals: Recordings, environment: dict[str, str], tmp_path: Path) -> None:
    assert "'latest' fits no run" in show(environment, code=2)
    journals.begin("one")
    journals.begin("one")
    assert "fits 2 runs" in show(environment, "one", code=2)
    assert json.loads(show(environment, "none", "--json", code=2))["exit_code"] == 2
    assert "there is no journal in" in show(environment, "--journal", str(tmp_path / "none"), code=1)
    pack = tmp_path / "runs.pack"
    pack.write_bytes(b"PK\3\4" + bytes(26) + b"uploader-pack.json")
    for what, given in (("pack", str(pack)), ("mirror", "s3://bucket/mirror")):
        assert f"it is a {what}: `drain` delivers what it has" in " ".join(
            show(environment, "--journal", given, code=2).split()
        )
    assert "is no address that is known here" in show(environment, "--journal", "https://", code=2)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "journal.db").write_bytes(b"x" * 5000)
    broken = show(environment, "--journal", str(tmp_path / "broken"), code=1)
    assert "is damaged" in broken
    assert "Traceback" not in broken


ODD = [
    ("epoch_end", "x", '{"epoch": "7", "metrics": {"a": 1}}'),
    ("epoch_end", "-3", '{"epoch": -3, "metrics": {"a": 1e308, "b": -1e308}}'),
    ("epoch_end", "5", '{"epoch": 5, "metrics": {"a": null, "train/": 1}}'),
    ("epoch_end", "6", '{"epoch": 6, "metrics": {"a": null, "": 2}}'),
    ("epoch_end", "99999999999999", '{"epoch": 99999999999999, "metrics": {"a": -1e308}}'),
    ("checkpoint", "last", "[]"),
    ("checkpoint", "best", '{"size": "x", "epoch": 1.5, "sha256": 7}'),
    ("training_started", "1", '{"epochs": true}'),
    ("training_failed", "", "[1]"),
    ("console_output", "", "null"),
    ("console_output", "", '{"content": "a\\u0000b\\rc", "progress": {"1": null}}'),
]


@pytest.mark.parametrize("command", [["show", "--all"], ["show", "--json"], ["logs"], ["wait", "--until", "a>=1"]])
def test_rows_of_another_program_fail_no_command(
    journals: Recordings, environment: dict[str, str], command: list[str]
) -> None:
    training = journals.begin("")
    with journals.journal.begin() as connection:
        connection.exec_driver_sql("UPDATE sessions SET started_at = 'once', heartbeat_at = '2026-13-45'")
        for kind, key, payload in ODD:
            connection.exec_driver_sql(
                "INSERT INTO events (run_id, session_id, kind, key, payload, created_at) VALUES (?, ?, ?, ?, ?, '')",
                (training.run.id, training.session_id, kind, key, payload),
            )
    result = CliRunner().invoke(main, [*command, training.run.id], env=environment)
    assert (result.exit_code, result.exception) == (0, None), result.output


def test_a_pruned_run_says_so(journals: Recordings, environment: dict[str, str]) -> None:
    from support.journals import later

    detection(journals, epochs=3)
    with scripted_server() as server:
        journals.drain(server.url)
    assert journals.journal.prune(later(60)).runs
    shown = show(environment)
    assert "the rest was pruned" in shown
    assert "demo/t1" in shown
    exported = CliRunner().invoke(main, ["export", "t1"], env=environment)
    assert (exported.exit_code, "; those of before were pruned" in exported.output) == (3, True)
