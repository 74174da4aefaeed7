"""Each command's help shows how it is used and what its exit codes mean, line by line."""

from __future__ import annotations

import re

import pytest
from click.testing import CliRunner

from uploader.__main__ import COMMANDS, main


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_examples_and_exit_codes(command: str) -> None:
    shown = CliRunner().invoke(main, [command, "--help"]).output
    examples, codes = shown.split("Examples:")[1].split("Exit codes:")
    assert re.search(rf"^ *python -m uploader {command}\b", examples, re.MULTILINE)
    assert {"0", "1"} <= set(re.findall(r"^ *(\d)  \S", codes, re.MULTILINE))
    assert "\\b" not in shown
