from __future__ import annotations

import importlib
import subprocess
import sys

import pytest
from click.testing import CliRunner

import uploader
from uploader.__main__ import COMMANDS, main

NAMES_FIRST = """
import sys, uploader
names = uploader.__all__
for first in names:
    import uploader
    getattr(uploader, first)
    print(first, [name for name in names if not callable(getattr(uploader, name))])
    for name in [name for name in sys.modules if name.partition(".")[0] in ("journal", "uploader")]:
        del sys.modules[name]
"""


def test_every_public_name_can_be_the_first_one_used() -> None:
    """Our own modules are imported anew for each; what they import of others was there since the first."""
    done = subprocess.run([sys.executable, "-c", NAMES_FIRST], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"{name} []" for name in uploader.__all__]


def test_the_version_is_that_of_the_command_line() -> None:
    assert uploader.__version__ in CliRunner().invoke(main, ["--version"]).output


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)])
def test_h_is_help(command: list[str]) -> None:
    short, long = (CliRunner().invoke(main, [*command, option]) for option in ("-h", "--help"))
    assert short.exit_code == 0
    assert short.output == long.output


@pytest.mark.parametrize(
    "name",
    [
        "journal.open",
        "uploader.attach",
        "uploader.callbacks.console.ConsoleCapture",
        "uploader.callbacks.slugs.project_slug",
        "uploader.platforms.failures.classify",
        "uploader.recorder.Recorder",
        "uploader.sink.JournalOptions",
    ],
)
def test_what_scripts_import_stays_where_it_is(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    assert callable(getattr(importlib.import_module(module), attribute))
