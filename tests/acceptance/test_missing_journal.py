"""A journal that is not there: a mistyped folder is told and not made; before the first training there is none."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.journals import remove
from support.recordings import KEY, recordings
from support.scripted_server import hearing, scripted_server

import journal
from journal.next_steps import intake_at
from journal.writing.fallback import FallbackFile
from uploader.__main__ import main

NOTHING_TO_DO = (("drain",), ("status",), ("doctor",), ("prune",), ("retry", "--all"))
NOT_DONE = (
    ("drain", "--run", "train-3"),
    ("drain", "--receipts", "out/runs.receipts"),
    ("status", "--run", "train-3"),
    ("show",),
    ("show", "train-3"),
    ("logs", "train-3"),
    ("wait", "--until", "delivered"),
    ("verify",),
    ("verify", "train-3"),
    ("verify", "--deep", "--fix"),
    ("prove", "train-3", "-o", "out/run.proof"),
    ("pack", "out/runs.pack"),
    ("mirror", "out/mirror"),
    ("receipts", "some.receipts"),
    ("resend", "train-3"),
    ("resend", "--all"),
    ("retry", "1"),
    ("route", "train-3", "--name", "other"),
    ("drop", "1", "--yes"),
    ("drop", "--to", "http://127.0.0.1:9", "--yes"),
)
HAS_JSON = [command for command in NOT_DONE if command[0] != "logs"]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A home in which nothing was ever recorded."""
    home = {"HOME": str(tmp_path / "home"), "UPLOADER_FALLBACK": str(tmp_path / "fallback")}
    return {**os.environ, **home, "ULTRALYTICS_API_KEY": "ul_key"}


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a file for the commands that take one, and a folder for what they make."""
    for name, value in {"HOME": "home", "XDG_DATA_HOME": "home/data", "UPLOADER_FALLBACK": "fallback"}.items():
        monkeypatch.setenv(name, str(tmp_path / value))
    monkeypatch.delenv("UPLOADER_JOURNAL", raising=False)
    (tmp_path / "out").mkdir()
    (tmp_path / "some.receipts").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "uploader", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("command", NOTHING_TO_DO)
def test_a_folder_that_was_named_must_hold_one(
    environment: dict[str, str], tmp_path: Path, command: tuple[str, ...]
) -> None:
    folder = tmp_path / "mistyped"
    by_option = run(environment, *command, "--journal", str(folder))
    by_variable = run({**environment, "UPLOADER_JOURNAL": str(folder)}, *command)
    for done in (by_option, by_variable):
        assert done.returncode == 1
        assert f"there is no {folder}" in (done.stdout + done.stderr).replace("journal in ", "")
    assert not folder.exists()


@pytest.mark.parametrize("command", NOTHING_TO_DO)
def test_before_the_first_training_there_is_nothing_to_do(
    environment: dict[str, str], tmp_path: Path, command: tuple[str, ...]
) -> None:
    done = run(environment, *command)
    assert (done.returncode, done.stderr) == (0, "")
    assert "nothing was recorded yet" in done.stdout
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("command", NOT_DONE)
def test_what_was_asked_for_was_not_done_before_the_first_training(workplace: Path, command: tuple[str, ...]) -> None:
    """A script goes on by the exit code alone: `verify train-3 && rm -r runs`."""
    by_default = CliRunner().invoke(main, command)
    by_option = CliRunner().invoke(main, [*command, "--journal", str(workplace / "mistyped")])
    assert (by_default.exit_code, by_option.exit_code) == (1, 1), by_default.output
    assert "nothing was recorded yet; name its folder by --journal or UPLOADER_JOURNAL" in by_default.output
    assert [*(workplace / "out").iterdir()] == []
    assert not (workplace / "home").exists()


@pytest.mark.parametrize("command", HAS_JSON)
def test_it_was_not_done_in_json_either(workplace: Path, command: tuple[str, ...]) -> None:
    done = CliRunner().invoke(main, [*command, "--json"])
    assert (done.exit_code, json.loads(done.stdout)["exit_code"]) == (1, 1)
    assert str(workplace / "home") in json.loads(done.stdout)["error"]


def test_in_json_too(environment: dict[str, str], tmp_path: Path) -> None:
    done = run(environment, "status", "--json", "--journal", str(tmp_path / "mistyped"))
    assert (done.returncode, json.loads(done.stdout)["exit_code"]) == (1, 1)
    assert "name its folder by --journal or UPLOADER_JOURNAL" in json.loads(done.stdout)["error"]


def event_beside(folder: Path) -> None:
    """Have an event wait in a fallback file for a journal that is not there."""
    with recordings(folder.parent / "other") as others:
        beside = FallbackFile([folder.parent / "fallback"], folder, others.begin().run)
    beside.append("training_started", {"epochs": 1}, "1")
    beside.close()


def test_events_of_a_journal_that_cannot_be_made_are_named_and_get_into_another(workplace: Path) -> None:
    nowhere = Path("/proc/nope")
    with recordings(workplace / "other") as others:
        beside = FallbackFile([workplace / "fallback"], nowhere, others.begin().run)
    beside.append("training_started", {"epochs": 1}, "1")
    beside.close()
    for command in NOTHING_TO_DO:
        done = CliRunner().invoke(main, command)
        assert done.exit_code == 0
        assert "1 fallback file of another journal; `python -m uploader unpack /proc/nope`" in done.output
    for command in ("status", "drain"):
        done = CliRunner().invoke(main, [command, "--journal", str(nowhere)])
        assert (done.exit_code, "unpack /proc/nope`" in done.output) == (1, True), done.output
    for new in (1, 0):
        done = CliRunner().invoke(main, ["unpack", str(nowhere), "--json"])
        assert (done.exit_code, json.loads(done.stdout)["sources"][0]["events"]) == (0, new), done.output
    assert "another journal" not in CliRunner().invoke(main, ["status"]).output


def test_a_journal_that_cannot_be_made_and_is_the_usual_one_is_brought_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("UPLOADER_JOURNAL", "/proc/nope")
    assert "`python -m uploader unpack /proc/nope --into FOLDER`" in intake_at("/proc/nope")


@pytest.mark.parametrize("command", ["status", "doctor"])
def test_events_that_wait_beside_it_are_told(environment: dict[str, str], tmp_path: Path, command: str) -> None:
    event_beside(tmp_path / "journal")
    named = run(environment, command, "--journal", str(tmp_path / "journal"))
    assert named.returncode == 1
    data = tmp_path / "home" / ".local" / "share" / "offline-uploader"
    event_beside(data / "journal")
    usual = run({**environment, "UPLOADER_FALLBACK": str(data / "fallback")}, command)
    for done, drain in ((named, f"drain --journal {tmp_path / 'journal'}"), (usual, "drain")):
        told = done.stdout + done.stderr
        assert "1 fallback file" in told
        assert f"`python -m uploader {drain}`" in told
        assert "--journal or UPLOADER_JOURNAL" not in told
        assert "nothing was recorded" not in told


def test_events_that_wait_beside_it_make_it(environment: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    event_beside(folder)
    with scripted_server() as server:
        there = {**environment, "ULTRALYTICS_PLATFORM_URL": server.url}
        assert run(there, "drain", "--journal", str(folder)).returncode == 0
        assert [body["event"] for body in server.bodies()] == ["training_started"]


def test_a_watching_drain_says_that_it_waits_for_one(environment: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    command = [sys.executable, "-m", "uploader", "drain", "--watch", "--journal", str(folder)]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert f"There is no journal in {folder} yet; waiting for one." in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
    journal.open(folder).close()


@pytest.mark.parametrize("is_made_anew", [True, False])
def test_a_watching_drain_ends_when_the_journal_is_removed(
    environment: dict[str, str], tmp_path: Path, is_made_anew: bool
) -> None:
    script, started = hearing("training_started")
    folder = tmp_path / "journal"
    command = [sys.executable, "-m", "uploader", "drain", "--watch", "--journal", str(folder)]
    with scripted_server(script) as server, recordings(folder) as journals:
        journals.begin().started()
        there = {**environment, "ULTRALYTICS_PLATFORM_URL": server.url, "ULTRALYTICS_API_KEY": KEY}
        with subprocess.Popen(command, env=there, stderr=subprocess.PIPE, text=True) as process:
            try:
                assert started.wait(100)
                remove(folder)
                if is_made_anew:
                    journal.open(folder).close()
                _, said = process.communicate(timeout=100)
            finally:
                process.kill()
    assert process.returncode == 1
    assert str(folder / "journal.db") in said
    assert "was removed or replaced" in said


def test_a_tilde_that_no_shell_resolved_is_the_home(environment: dict[str, str], tmp_path: Path) -> None:
    with recordings(tmp_path / "home" / "kept") as journals:
        journals.whole()
    for done in (
        run(environment, "status", "--journal", "~/kept"),
        run({**environment, "UPLOADER_JOURNAL": "~/kept"}, "status"),
    ):
        assert (done.returncode, "train" in done.stdout) == (0, True)
