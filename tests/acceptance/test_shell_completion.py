"""What a shell asks on Tab: commands, options, and the names of the runs in the journal that the line names."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.recordings import recordings

from uploader.__main__ import COMMANDS, COMPLETION, main

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("completion") / "journal"
    with recordings(folder) as recorded:
        recorded.begin("night-1", "warehouse")
        recorded.begin("night-2", "warehouse")
        recorded.begin("day-1", "yard")
    return folder


def completed(line: str, **environment: str) -> list[str]:
    """Return what bash is told of a line; its last word is the one that is completed."""
    words = line.split(" ")
    asked = {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1), COMPLETION: "bash_complete"}
    told = CliRunner(env={**asked, **environment}).invoke(main, prog_name="uploader")
    assert told.exception is None or isinstance(told.exception, SystemExit)
    return [each.removeprefix("plain,") for each in told.stdout.split()]


def test_commands_and_options_are_completed() -> None:
    assert completed("uploader ") == list(COMMANDS)
    assert completed("uploader sta") == ["status"]
    assert completed("uploader drain --until") == ["--until-done"]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("show ", ["latest", "warehouse/night-1", "warehouse/night-2", "yard/day-1"]),
        ("logs ware", ["warehouse/night-1", "warehouse/night-2"]),
        ("verify yard/day-1 ni", ["night-1", "night-2"]),
        ("drain --run warehouse/night-1 --run y", ["yard/day-1"]),
        ("status --run da", ["day-1"]),
        ("retry x", []),
    ],
)
def test_runs_are_completed_by_their_names(journal: Path, words: str, names: list[str]) -> None:
    assert completed(f"uploader {words}", UPLOADER_JOURNAL=str(journal)) == names


def test_the_journal_of_the_line_comes_first(journal: Path, tmp_path: Path) -> None:
    assert completed(f"uploader show --journal {journal} la", UPLOADER_JOURNAL=str(tmp_path)) == ["latest"]
    assert completed(f"uploader status --journal {journal} --run la", UPLOADER_JOURNAL=str(tmp_path)) == ["latest"]


def test_no_journal_is_no_message_and_makes_none(tmp_path: Path) -> None:
    assert completed("uploader show ", UPLOADER_JOURNAL=str(tmp_path / "none")) == []
    assert list(tmp_path.iterdir()) == []


def test_the_program_itself_answers() -> None:
    """Through its own output streams, which click would write bytes to."""
    asked = {"COMP_WORDS": "uploader sta", "COMP_CWORD": "1", COMPLETION: "bash_complete"}
    command = [sys.executable, "-m", "uploader"]
    told = subprocess.run(command, env=os.environ | asked, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert (told.stdout, told.stderr) == ("plain,status\n", "")
