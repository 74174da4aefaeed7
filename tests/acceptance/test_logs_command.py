"""`uploader logs`: what a run has printed, whole, at its end, or as it comes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.journals import ROOT
from support.recordings import Recordings, recordings
from support.terminals import in_terminal

from uploader.__main__ import main

LOGS = [sys.executable, "-m", "uploader", "logs"]
HOSTILE = "\x1b]0;owned\x07\x1b[2J\x1b[31mred\x1b[0m \x1b]52;c;eA==\x07\u202eend"

SWALLOWED = """
import os, signal
from uploader.__main__ import main
from journal.storage.file_changes import FileChanges
class Swallowing:
    def __del__(self):  # what is raised here is printed, and goes no further
        signal.raise_signal(signal.SIGINT)
def note(_):
    if noted:
        os._exit(0)  # it has gone on
    noted.append(str(Swallowing()))
noted, FileChanges.note = [], note
main()
"""
"""Runs a command that follows a run, with Ctrl-C in a garbage collection."""


@pytest.fixture
def journals(tmp_path: Path) -> Iterator[Recordings]:
    with recordings(tmp_path / "journal") as opened:
        yield opened


@pytest.fixture
def environment(journals: Recordings) -> dict[str, str]:
    return {**os.environ, "UPLOADER_JOURNAL": str(journals.journal.path)}


def logs(environment: dict[str, str], *arguments: str) -> str:
    """Return what it prints in a process that lives already."""
    result = CliRunner().invoke(main, ["logs", *arguments], env=environment)
    assert result.exit_code == 0, result.output
    return result.output


@contextmanager
def following(environment: dict[str, str], *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [*LOGS, "--follow", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=environment, text=True, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def test_all_of_it_or_its_end_with_the_bars_that_go_on(journals: Recordings, environment: dict[str, str]) -> None:
    training = journals.begin()
    training.console(1, "one\ntwo")
    training.console(2, " 10%\r100%")
    training.event("console_output", {"content": "", "lineCount": 0, "progress": {"7": "1/9 ━━ \x1b[K"}}, "3")
    assert logs(environment) == "one\ntwo\n100%\n1/9 ━━ \n"
    assert logs(environment, "train", "--tail", "2") == "two\n100%\n1/9 ━━ \n"
    assert logs(environment, "-n", "0") == "1/9 ━━ \n"


def test_it_takes_over_no_terminal(journals: Recordings, environment: dict[str, str]) -> None:
    journals.begin().console(1, HOSTILE)
    assert in_terminal(LOGS, environment) == (0, "\x1b[31mred\x1b[0m end\x1b[0m\n")
    assert logs(environment) == "red end\n"


def test_what_comes_is_followed_until_the_training_is_over(journals: Recordings, environment: dict[str, str]) -> None:
    training = journals.begin()
    training.console(1, "first")
    with following(environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "first\n"
        training.console(2, "second")
        assert process.stdout.readline() == "second\n"
        training.complete()  # finished, but its process may still print
        training.console(3, "third")
        assert process.stdout.readline() == "third\n"
        training.end()
        assert process.communicate() == ("", "")
    assert process.returncode == 0


def test_following_begins_with_the_last_lines_only(journals: Recordings, environment: dict[str, str]) -> None:
    before = journals.begin()
    before.console(1, "first")
    training = journals.begin(run_id=before.run.id)
    training.console(2, "second")
    before.console(3, "late, of the earlier session")  # last to arrive, and not last in the training
    with following(environment, "--tail", "1") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "second\n"
        training.console(4, "third")
        assert process.stdout.readline() == "third\n"
        before.end()
        training.end()
        assert process.communicate()[0] == ""


def test_a_run_that_is_over_is_followed_no_further(journals: Recordings, environment: dict[str, str]) -> None:
    journals.whole(epochs=2)
    assert logs(environment, "--follow") == "line 0\nline 1\n"


def test_it_ends_when_nobody_reads_it_any_more_although_the_training_goes_on(
    journals: Recordings, environment: dict[str, str]
) -> None:
    training = journals.begin()
    training.console(1, "first")
    with following(environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "first\n"
        training.console(2, "second")
        assert process.stdout.readline() == "second\n"
        process.stdout.close()
        assert process.wait(60) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_ctrl_c_ends_it_quietly(journals: Recordings, environment: dict[str, str]) -> None:
    journals.begin().console(1, "first")
    with following(environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "first\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate() == ("", "")
    assert process.returncode == 130


@pytest.mark.parametrize("command", [["logs", "--follow"], ["wait", "--until", "delivered"]])
def test_ctrl_c_is_heard_wherever_it_strikes(
    journals: Recordings, environment: dict[str, str], command: list[str]
) -> None:
    journals.begin().console(1, "first")
    done = subprocess.run(
        [sys.executable, "-c", SWALLOWED, *command], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert (done.returncode, "KeyboardInterrupt" in done.stderr) == (130, False)


def test_a_terminal_that_does_not_know_a_character_fails_nothing(
    journals: Recordings, environment: dict[str, str]
) -> None:
    journals.begin().console(1, "50%|█████ 名前")
    known = {**environment, "PYTHONIOENCODING": "ascii:strict", "LC_ALL": "C"}
    done = subprocess.run(LOGS, env=known, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("50%|\\u2588")


def test_what_is_no_console_text_harms_no_other(journals: Recordings, environment: dict[str, str]) -> None:
    training = journals.begin()
    training.console(1, "before")
    for payload in ({"content": 3, "progress": "x"}, {"content": ["a"]}, {}):
        training.event("console_output", payload)
    with journals.journal.begin() as connection:
        connection.exec_driver_sql("UPDATE events SET payload = '{' WHERE payload = '{}'")
    training.console(2, "after")
    lines = logs(environment).split("\n")
    assert (lines[0], lines[-2]) == ("before", "after")


@pytest.mark.parametrize(
    ("name", "why"), [("none", "'none' fits no run"), ("one", "'one' fits 2 runs"), ("", "'' fits no run")]
)
def test_names_that_fit_no_run_or_several(
    journals: Recordings, environment: dict[str, str], name: str, why: str
) -> None:
    journals.begin("one")
    journals.begin("one")
    result = CliRunner().invoke(main, ["logs", name], env=environment)
    assert result.exit_code == 2
    assert why in result.output


def test_what_is_no_journal_is_told(tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "uploader-mirror.json").write_text("{}")
    result = CliRunner().invoke(main, ["logs", "--journal", str(tmp_path)], env=environment)
    assert result.exit_code == 1
    assert "it is a mirror: `drain` delivers what it has, and `unpack` brings it into a journal" in result.output
