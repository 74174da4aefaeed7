"""What a command prints, and where that goes, changes nothing of what it does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.journals import ROOT, rows
from support.recordings import KEY, Recordings, recordings
from support.scripted_server import ScriptedServer, scripted_server

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


def test_a_full_disk_behind_the_output_is_said(journals: Recordings) -> None:
    done = shell(f"{UPLOADER} status > /dev/full", journals.journal.path)
    assert done.returncode == 0
    assert b"cannot be written (No space left on device)" in done.stderr


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
