"""What a command prints, and where that goes, changes nothing of what else it does."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TextIO

import pytest
from click.testing import CliRunner
from support.journals import ROOT, rows
from support.recordings import KEY, Recordings, recordings
from support.scripted_server import ScriptedServer, scripted_server

import uploader
from uploader.__main__ import main
from uploader.server.running import running

NAME = "zürich-…-名前"
UPLOADER = f"{sys.executable} -m uploader"


@pytest.fixture
def journals(tmp_path: Path) -> Iterator[Recordings]:
    with recordings(tmp_path / NAME) as opened:
        yield opened


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as running:
        yield running


def shell(line: str, folder: Path, url: str = "", **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a line of shell with the journal and the platform in its environment."""
    names = {
        "UPLOADER_JOURNAL": str(folder),
        "UPLOADER_FALLBACK": str(folder.parent / "fallback"),
        "ULTRALYTICS_API_KEY": KEY,
        **({"ULTRALYTICS_PLATFORM_URL": url} if url else {}),
        **environment,
    }
    command = ["bash", "-c", f"set -o pipefail; {line}"]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **names}, capture_output=True, timeout=100, check=False)


@pytest.mark.parametrize(
    "where", ["> /dev/full", "| true", ">&-", ">&- 2>&-", "> /dev/full 2> /dev/full", "<&- >&- 2>&-"]
)
def test_output_that_goes_nowhere_fails_no_drain(journals: Recordings, server: ScriptedServer, where: str) -> None:
    journals.whole()
    done = shell(f"{UPLOADER} drain {where}", journals.journal.path, server.url)
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr
    assert b"Exception ignored" not in done.stderr
    states = rows(journals.journal.path, "SELECT DISTINCT state FROM deliveries")
    assert states == [("delivered",)]
    assert rows(journals.journal.path, "PRAGMA integrity_check") == [("ok",)]


@pytest.mark.parametrize("command", ["status", "status --json", "doctor", "drain --help", "--version"])
def test_a_reader_that_goes_away_fails_no_command(journals: Recordings, command: str) -> None:
    journals.whole()
    done = shell(f"{UPLOADER} {command} | exec true", journals.journal.path)
    assert (done.returncode, done.stderr) == (0, b"")


LOST = "uploader: this command's output cannot be written (No space left on device)"


PRINTING = (
    "status",
    "status --json",
    "status --watch",
    "show",
    "logs",
    "logs --follow",
    "where",
    "doctor",
    "verify --json",
    "check run.proof",
    "mirror --check mirror",
    "--help",
    "drain --help",
    "--version",
)
ACTING = ("verify --fix", "prove latest -o other.proof", "mirror mirror", "resend latest", "doctor --repair")


@pytest.fixture(scope="module")
def arrived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str]]]:
    """A folder with a run that has arrived, its proof and its mirror, and the environment that they are in."""
    folder = tmp_path_factory.mktemp("arrived")
    files = {"UPLOADER_JOURNAL": "journal", "UPLOADER_FALLBACK": "fallback", "UPLOADER_PROOF_KEY": "keys/proof-key"}
    environment = {**{name: str(folder / file) for name, file in files.items()}, "ULTRALYTICS_API_KEY": KEY}
    with running(folder / "platform", api_key=KEY) as platform, recordings(folder / "journal") as journals:
        environment["ULTRALYTICS_PLATFORM_URL"] = platform.url
        journals.whole()
        with pytest.MonkeyPatch.context() as patch:
            enter(patch, folder, environment)
            assert uploader.drain().exit_code == 0
            for command in ("prove latest -o run.proof", "mirror mirror"):
                assert CliRunner().invoke(main, command.split()).exit_code == 0
        yield folder, environment


@pytest.fixture
def there(arrived: tuple[Path, dict[str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    enter(monkeypatch, *arrived)


def enter(patch: pytest.MonkeyPatch, folder: Path, environment: dict[str, str]) -> None:
    patch.chdir(folder)
    for name, value in environment.items():
        patch.setenv(name, value)


def ended(command: str, out: TextIO) -> tuple[object, str]:
    """Run a command here with its output going there; return its exit code and what else it said."""
    said = io.StringIO()
    with redirect_stdout(out), redirect_stderr(said), pytest.raises(SystemExit) as ending:
        main(command.split(), prog_name="uploader")
    return ending.value.code or 0, said.getvalue()


@pytest.mark.parametrize("command", PRINTING)
@pytest.mark.usefixtures("there")
def test_a_full_disk_behind_the_output_fails_what_makes_nothing_else(command: str) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        code, said = ended(command, full)
    assert (code, said) == (74, f"{LOST}\n")


@pytest.mark.parametrize("command", ACTING)
@pytest.mark.usefixtures("there")
def test_it_fails_nothing_that_makes_something_else(command: str) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        code, said = ended(command, full)
    assert (code, said) == (0, f"{LOST}; its work goes on\n")


@pytest.mark.parametrize("command", PRINTING)
@pytest.mark.usefixtures("there")
def test_a_reader_that_has_gone_expects_nothing(command: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", encoding="utf-8") as pipe:
        assert ended(command, pipe) == (0, "")


@pytest.mark.parametrize("encoding", ["ascii", "ascii:strict", "latin-1:strict", "cp1252", "utf-8"])
@pytest.mark.parametrize("command", ["status", "doctor"])
def test_a_terminal_that_does_not_know_a_character_fails_no_command(
    journals: Recordings, command: str, encoding: str
) -> None:
    journals.whole()
    done = shell(f"{UPLOADER} {command}", journals.journal.path, LC_ALL="C", PYTHONIOENCODING=encoding)
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr
    codec, _, _ = encoding.partition(":")
    assert NAME.encode(codec, "backslashreplace") in done.stdout
