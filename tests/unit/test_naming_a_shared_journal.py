"""A shared journal in the wrong place is refused in the same words, wherever that is."""

from __future__ import annotations

import os
from pathlib import Path
from unittest.mock import patch

import click
import pytest
from click.testing import CliRunner

from uploader.__main__ import COMMANDS, main
from uploader.commands.folders import ON_SHARED_JOURNALS

URL = "postgresql://lab@127.0.0.1:1/db"
UNABLE = f"{URL} is a shared journal, with which this command does not work; these do: `drain`, `status`"
BY_JOURNAL = f"{URL} is a shared journal; name it by --journal"
BY_INTO = f"{URL} is a shared journal; name it by --into"


@pytest.fixture(autouse=True)
def _nothing_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UPLOADER_JOURNAL", str(tmp_path / "none"))


def refused(line: str) -> str:
    done = CliRunner().invoke(main, line.split())
    assert done.exit_code == 2, done.output
    assert list(Path().iterdir()) == []
    return done.output


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("receipts X", UNABLE),
        ("check X", UNABLE),
        ("check --export X /dev/null", UNABLE),
        ("dataset run X", UNABLE),
        ("prove run -o X", UNABLE),
        ("prove X -o y", UNABLE),
        ("pack X", UNABLE),
        ("import X", UNABLE),
        ("serve --data X", UNABLE),
        ("mirror X", UNABLE),
        ("restore X", UNABLE),
        ("unpack X", UNABLE),
        ("unpack y --into X", UNABLE),
        ("describe run --tag a --journal X", UNABLE),
        ("export run -o X", BY_JOURNAL),
        ("drain --receipts X", BY_JOURNAL),
        ("drain --log X", BY_JOURNAL),
        ("status --run X", BY_JOURNAL),
        ("verify X", BY_JOURNAL),
        ("show X", BY_JOURNAL),
        ("retry X", BY_JOURNAL),
        ("exec --mirror X -- true", BY_JOURNAL),
        ("collect X", BY_INTO),
        ("collect --log X", BY_INTO),
    ],
)
def test_it_is_refused_in_the_same_words(line: str, told: str) -> None:
    assert told in refused(line.replace("X", URL))


@pytest.mark.parametrize("line", ["unpack y", "pack y", "mirror y", "restore y", "import y"])
def test_nor_is_it_taken_from_the_variable(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPLOADER_JOURNAL", URL)
    assert UNABLE in refused(line)
    monkeypatch.setenv("UPLOADER_JOURNAL", "mysql://lab:hidden@h/db")
    assert "is no address that is known here" in refused(line)


@pytest.mark.parametrize("line", ["view", "where"])
def test_another_address_in_the_variable_is_refused(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPLOADER_JOURNAL", "mysql://lab:hidden@h/db")
    assert "is no address that is known here" in refused(line)


@pytest.mark.parametrize(
    "line",
    ["status X", "drain X", "doctor X", "view X", "where --journal X", "show --journal X", "exec --journal X -- true"],
)
def test_an_address_of_another_kind_is_neither_a_journals_nor_a_mirrors(line: str) -> None:
    told = refused(line.replace("X", "mysql://lab:hidden@h/db"))
    assert "is no address that is known here: a shared journal's begins with postgresql://" in told


def test_nor_is_anything_collected_into_one() -> None:
    assert "a shared journal is named as postgresql://" in refused("collect --into mysql://lab@h/db")


@pytest.mark.parametrize(
    "line", ["doctor X", "status X", "drain X", "view X", "where --journal X", "exec --journal X -- true"]
)
def test_these_take_it(line: str) -> None:
    assert "names no database" in refused(line.replace("X", "postgresql://lab@h"))


def test_what_exec_runs_is_told_the_url() -> None:
    with patch.dict(os.environ):
        CliRunner().invoke(main, ["exec", "--journal", URL, "--", "no-such-command"])
        assert os.environ["UPLOADER_JOURNAL"] == URL


def test_help_says_of_each_command_whether_it_does() -> None:
    told = {name for name in COMMANDS if "URL of a shared one" in _help(name) or "folder or URL alone" in _help(name)}
    assert told == set(ON_SHARED_JOURNALS)


def _help(name: str) -> str:
    command = main.get_command(click.Context(main), name)  # type: ignore[attr-defined]
    told = [getattr(one, "help", None) or "" for one in (command, *command.params)]
    return " ".join(" ".join(told).split())
