"""What a command advises to do next names the journal that was looked at, where the command would take another one."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from support.damage import overwrite
from support.journals import URL, Bench, bench

from journal.records import Outcome
from journal.writing.fallback import FallbackFile

NOTHING_FITS = ("--run", "nothing")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A journal with a dead letter, and more for an address that no key is for."""
    folder = tmp_path / "my journal"
    with bench(folder) as at:
        at.register()
        refuse(at)
        at.event()
    return folder


def refuse(at: Bench) -> None:
    at.plan(at.message())
    (claim,) = at.claim()
    at.record(Outcome(claim, "dead", error="400: no"))


def run(folder: Path, *arguments: str, usual: bool = False) -> str:
    """Run a command on the journal, named or in the usual place; return all that it prints."""
    command = [sys.executable, "-m", "uploader", *arguments, *([] if usual else ["--journal", str(folder)])]
    place = {
        "UPLOADER_FALLBACK": str(folder.parent / "fallback"),
        **({"UPLOADER_JOURNAL": str(folder)} if usual else {}),
    }
    environment = {**os.environ, "ULTRALYTICS_API_KEY": "ul_key", **place}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def advised(text: str) -> list[str]:
    """Return the command lines in a text."""
    return re.findall(r"`((?:python -m )?uploader [^`]*)`", text)


@pytest.mark.parametrize(
    ("command", "steps"),
    [
        (["status"], ["drain --to", "drop --to", "retry --all"]),
        (["drain"], ["drain --to", "drop --to"]),
        (["drain", *NOTHING_FITS], ["status"]),
        (["drop", "--to", URL, "--yes"], ["drain --to"]),
        (["drop", "--to", URL, "--yes", *NOTHING_FITS], ["status"]),
        (["drop", "--to", "http://nowhere.example", "--yes"], ["status"]),
    ],
)
def test_the_next_step_is_for_the_journal_that_was_named(
    folder: Path, command: Sequence[str], steps: Sequence[str]
) -> None:
    told = advised(run(folder, *command))
    assert [step for step in steps if not any(f"uploader {step}" in line for line in told)] == []
    assert [line for line in told if f"--journal {shlex.quote(str(folder))}" not in line] == []


def test_after_it_was_given_up_too(folder: Path) -> None:
    run(folder, "drop", "--to", URL, "--yes")
    for command in (["status"], ["drop", "--to", URL, "--yes"]):
        (told,) = advised(run(folder, *command))
        assert f"--journal {shlex.quote(str(folder))}" in told


def test_what_doctor_finds_too(folder: Path) -> None:
    with bench(folder) as at:
        waiting = FallbackFile([folder.parent / "fallback"], folder, at.run)
    waiting.append("epoch_end", {"epoch": 1})
    waiting.close()
    folder.chmod(0o755)
    overwrite(folder / "journal.db", 4096, b"\xa5" * 4096)
    told = advised(run(folder, "doctor"))
    assert len(told) == 3
    assert all(f"--journal {shlex.quote(str(folder))}" in line for line in told)


def test_the_usual_journal_needs_no_name(folder: Path) -> None:
    folder.chmod(0o755)
    told = advised(run(folder, "doctor", usual=True))
    assert "python -m uploader doctor --repair" in told
    assert not [line for line in told if "--journal" in line]
