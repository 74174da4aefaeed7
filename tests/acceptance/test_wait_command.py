"""`uploader wait`: scripts go on when a run is where they want it, and learn when it never will be."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from support.journals import dead_pid
from support.recordings import Recordings, Training, recordings
from support.scripted_server import Reply, Request, received, scripted_server

from journal.clock import utc_now
from journal.outbox.verifications import Finding, Found, note, seen
from journal.writing.fallback import FallbackFile
from uploader.__main__ import main

METRIC = "metrics/mAP50(B)"


@pytest.fixture
def journals(tmp_path: Path) -> Iterator[Recordings]:
    with recordings(tmp_path / "journal") as opened:
        yield opened


@pytest.fixture
def environment(journals: Recordings) -> dict[str, str]:
    beside = str(journals.journal.path.parent / "fallback")
    return {**os.environ, "UPLOADER_JOURNAL": str(journals.journal.path), "UPLOADER_FALLBACK": beside}


def wait(environment: Mapping[str, str | None], until: str, *arguments: str) -> tuple[int, str]:
    """Look once; return the exit code and all that was printed."""
    command = ["wait", "--until", until, "--timeout", "0", *arguments]
    result = CliRunner().invoke(main, command, env=environment)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


@contextmanager
def waiting(environment: dict[str, str], until: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "uploader", "wait", "--until", until]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=environment, text=True, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    return process.stderr.readline()


def measured(training: Training, number: int, value: Any, revision: int | None = None, **more: Any) -> None:
    metrics = {"val/loss": 1.0, METRIC: value, **more}
    says = {} if revision is None else {"revision": revision}
    training.event("epoch_end", {"epoch": number, "metrics": metrics, **says}, str(number))


def test_it_says_what_it_waits_for_until_the_run_is_over_and_has_arrived(
    journals: Recordings, environment: dict[str, str]
) -> None:
    training = journals.begin()
    training.started(epochs=1)
    with scripted_server() as server, waiting(environment, "delivered") as process:
        assert said(process) == "waiting until demo/train is delivered: it is still training\n"
        training.epoch(0)
        journals.drain(server.url)  # all that there is, but more may come
        training.complete()
        training.end()
        line = said(process)
        assert "delivered: 1 event not planned yet for http" in line
        assert "; no drain is at work: `python -m uploader drain` delivers it" in line
        journals.drain(server.url)
        out, _ = process.communicate()
    assert process.returncode == 0
    assert out == f"demo/train is delivered: all of it has arrived at {server.url}\n"


def test_an_epoch_that_is_good_enough_ends_it_at_once(journals: Recordings, environment: dict[str, str]) -> None:
    training = journals.begin()
    with waiting(environment, f"{METRIC}>=0.8") as process:
        assert said(process).endswith("is at metrics/mAP50(B)>=0.8: no epoch has been recorded yet\n")
        measured(training, 0, 0.5)
        measured(training, 1, 0.81)
        assert process.communicate()[0] == f"demo/train is at {METRIC}>=0.8: {METRIC} is 0.81 in epoch 2\n"
    assert process.returncode == 0


def test_ctrl_c_ends_it_quietly(journals: Recordings, environment: dict[str, str]) -> None:
    journals.begin()
    with waiting(environment, "delivered") as process:
        assert said(process)
        process.send_signal(signal.SIGINT)
        assert process.communicate() == ("", "")
    assert process.returncode == 130


def test_a_metric_may_be_reached_by_the_final_evaluation_and_in_both_directions(
    journals: Recordings, environment: dict[str, str]
) -> None:
    training = journals.begin()
    measured(training, 0, 0.5, up=3.0)
    measured(training, 1, 0.4, up=2.0)
    training.event("epoch_end", {"epoch": 2, "metrics": {METRIC: 0.9}}, "2")
    assert wait(environment, f"{METRIC} > 0.85")[0] == 0
    assert "0.9 in the final evaluation" in wait(environment, f"{METRIC} > 0.85")[1]
    code, shown = wait(environment, f"{METRIC} < 0.4")
    assert code == 3
    assert "after 0 s: the best so far: metrics/mAP50(B) is 0.4 in epoch 2, of 2 epochs" in shown
    training.end("complete")
    code, shown = wait(environment, "up >= 4")
    assert code == 6
    assert "it is finished, and the best so far: up is 3 in epoch 1" in shown


def test_epochs_without_losses_of_a_validation_are_epochs(journals: Recordings, environment: dict[str, str]) -> None:
    training = journals.begin()
    for number in range(5):
        metrics = {"train/loss": 1 / (number + 1), METRIC: 0.1 * (number + 3)}
        training.event("epoch_end", {"epoch": number, "metrics": metrics}, str(number))
    assert "is 0.7 in epoch 5, of 5 epochs" in wait(environment, f"{METRIC} >= 0.8")[1]
    training.event("epoch_end", {"epoch": 5, "metrics": {"train/loss": 0.2, METRIC: 0.75}}, "5")
    assert "is 0.75 in the final evaluation, of 5 epochs" in wait(environment, f"{METRIC} >= 0.8")[1]


def test_steps_of_a_loop_have_their_own_numbers(journals: Recordings, environment: dict[str, str]) -> None:
    training = journals.begin()
    measured(training, 10, 0.75, revision=1)
    measured(training, 20, 0.5, revision=1)
    assert (
        wait(environment, f"{METRIC} >= 0.75")[1] == f"demo/train is at {METRIC}>=0.75: {METRIC} is 0.75 in step 10\n"
    )
    assert "0.75 in step 10, of 2 steps" in wait(environment, f"{METRIC} >= 0.8")[1]
    assert "no step has told a loss" in wait(environment, "loss < 1")[1]


def test_values_that_are_no_numbers_reach_nothing(journals: Recordings, environment: dict[str, str]) -> None:
    training = journals.begin()
    for number, value in enumerate((float("nan"), "0.9", None, [0.9])):
        measured(training, number, value)
    code, shown = wait(environment, f"{METRIC}>=0")
    assert code == 3
    assert f"no epoch has told a {METRIC}; there are" in shown


def test_a_name_that_no_metric_has_is_told_with_those_that_there_are(
    journals: Recordings, environment: dict[str, str]
) -> None:
    training = journals.begin()
    measured(training, 0, 0.5)
    assert (
        "no epoch has told a metrics/map50(B); there are metrics/mAP50(B)"
        in wait(environment, "metrics/map50(B)>=1")[1]
    )


def test_a_run_that_was_killed_and_one_that_failed_never_get_better(
    journals: Recordings, environment: dict[str, str]
) -> None:
    training = journals.begin("failed")
    measured(training, 0, 0.5)
    training.end("failed")
    killed = journals.writer.start_run(project="demo", name="killed", save_dir="/")
    journals.writer.start_session(killed.id, dead_pid())
    assert wait(environment, f"{METRIC}>=1", "failed")[0] == 6
    code, shown = wait(environment, f"{METRIC}>=1", "killed")
    assert code == 6
    assert "it is interrupted, and no epoch has been recorded yet; if it is resumed, wait again" in shown


def test_a_killed_run_has_not_arrived_before_platforms_know_of_its_end(
    journals: Recordings, environment: dict[str, str]
) -> None:
    run = journals.writer.start_run(project="demo", name="killed", save_dir="/")
    session = journals.writer.start_session(run.id)
    journals.writer.append(run.id, session, "training_started", {"environment": {"uploaderRun": run.id}}, "1")
    with scripted_server() as server:
        journals.drain(server.url)
        with journals.journal.begin() as connection:
            connection.exec_driver_sql("UPDATE sessions SET pid = ?", (dead_pid(),))
        code, shown = wait(environment, "delivered")
        assert code == 3
        assert "its process died, which the next drain tells the platforms" in shown
        journals.drain(server.url)
    assert wait(environment, "delivered")[0] == 0


def test_what_a_training_left_beside_the_journal_has_not_arrived(
    journals: Recordings, environment: dict[str, str], tmp_path: Path
) -> None:
    training = journals.whole()
    with scripted_server() as server:
        journals.drain(server.url)
    assert wait(environment, "delivered")[0] == 0
    beside = FallbackFile([tmp_path / "fallback"], journals.journal.path, training.run)
    beside.append("epoch_end", {"epoch": 9, "metrics": {}}, "9")
    beside.close()
    code, shown = wait(environment, "delivered")
    assert code == 3
    assert "the next drain takes in 1 file that it left beside the journal" in shown


def refusing(request: Request) -> Reply:
    is_epoch = request.path.endswith("/metrics") and request.json()["event"] == "epoch_end"
    return Reply(422, {"error": "no such metric"}) if is_epoch else received(request)


def test_what_was_refused_needs_a_person(journals: Recordings, environment: dict[str, str]) -> None:
    journals.whole(epochs=1)
    with scripted_server(refusing) as server:
        journals.drain(server.url)
    for until in ("delivered", "verified"):
        code, shown = wait(environment, until)
        assert code == 4
        assert "refused 1 delivery: " in shown
        assert "no such metric" in shown
        assert "remove the cause, then `python -m uploader retry --all`" in shown


def test_where_it_goes_nowhere_any_more_it_never_arrives(journals: Recordings, environment: dict[str, str]) -> None:
    journals.whole()
    assert "it goes nowhere yet; the next drain sends it" in wait(environment, "delivered")[1]
    with scripted_server(lambda _: Reply(503)) as server:
        journals.drain(server.url, max_time=0)
    assert wait(environment, "delivered")[0] == 3
    journals.journal.drop_destination(1)
    code, shown = wait(environment, "delivered")
    assert code == 6
    assert "each of its destinations was dropped" in shown


def found(journals: Recordings, run_id: str, **counts: int) -> None:
    """Note what reading a run back has shown, as `verify` does."""
    wrong = [Finding("epoch 3", "missing", "it is not there")] if counts.get("missing") else []
    with journals.journal.begin() as connection:
        known = seen(connection, run_id, 1, utc_now())
        note(connection, run_id, 1, Found(known, counts, wrong))  # type: ignore[arg-type]


def test_it_is_verified_when_it_was_read_back_since(journals: Recordings, environment: dict[str, str]) -> None:
    training = journals.whole()
    with scripted_server() as server:
        journals.drain(server.url)
        code, shown = wait(environment, "verified")
        assert code == 3
        assert "it has arrived; `verify` has not read it back" in shown
        assert "`python -m uploader verify` does that" in shown
        found(journals, training.run.id, proven=7, missing=1)
        code, shown = wait(environment, "verified")
        assert code == 4
        assert "1 missing and 0 different" in shown
        assert "such as epoch 3: it is not there; `verify --fix` sends again what that puts right" in shown
        found(journals, training.run.id, unreadable=3)
        assert wait(environment, "verified")[0] == 6
        found(journals, training.run.id, proven=8, unreadable=1)
        assert wait(environment, "verified")[0] == 0
        training.event("epoch_end", {"epoch": 9, "metrics": {}}, "9")
        journals.drain(server.url)
        code, shown = wait(environment, "verified")
        assert code == 3
        assert "has not read it back" in shown


def test_json_has_the_outcome(journals: Recordings, environment: dict[str, str]) -> None:
    training = journals.begin()
    command = ["wait", "--until", "delivered", "--timeout", "0", "--json"]
    out = CliRunner().invoke(main, command, env=environment).output.split("\n")
    told = json.loads(next(line for line in out if line.startswith("{")))
    expected = {"exit_code": 3, "run": training.run.id, "name": "demo/train", "until": "delivered"}
    assert told == {**expected, "outcome": "timed out", "message": "it is still training"}


def test_nothing_recorded_is_nothing_that_arrived(tmp_path: Path, environment: dict[str, str]) -> None:
    nowhere = {**environment, "UPLOADER_JOURNAL": None, "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    code, shown = wait(nowhere, "delivered")
    assert code == 1
    assert "there is no journal in" in shown
    assert wait(environment, "delivered", "none")[0] == 2
    assert wait(environment, "arrived")[0] == 2
