"""No command shows the password of a URL, wherever on its command line that stands."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import click
import pytest
from click.testing import CliRunner

from journal.shared_addresses import shared_url, why_unusable, without_password
from uploader.__main__ import COMMANDS, main
from uploader.commands.hidden_secrets import HiddenSecrets

PIECES = ("s3cret", "W0rds")
URLS = (
    "postgresql://uploader:s3cret-W0rds@127.0.0.1:1",  # it names no database, so nothing connects
    "postgresql://uploader:s3cret?W0rds@127.0.0.1:1/db",
    "postgresql://uploader:s3cret//@/W0rds@127.0.0.1:1/db",
    "postgresql://uploader:s3cretW0rds@127.0.0.1:port/db",
    "mysql://uploader:s3cret'W0rds@127.0.0.1/db",
)
SERVES = {("serve", "--api-key"), ("serve", "--host")}
"""A server would begin, or a name be looked up."""


def _parameters() -> Iterator[tuple[str, str]]:
    context = click.Context(main)
    for name in COMMANDS:
        command = main.get_command(context, name)  # type: ignore[attr-defined]
        for one in command.params:
            if isinstance(one, click.Argument) or not (one.is_flag or one.count):
                yield name, one.opts[0] if isinstance(one, click.Option) else ""


def _line(name: str, parameter: str, url: str) -> list[str]:
    """Return a command line with a URL in one place and something in all that are required."""
    command = main.get_command(click.Context(main), name)  # type: ignore[attr-defined]
    line = [name]
    for one in command.params:
        if isinstance(one, click.Option) and (one.required or one.opts[0] == parameter):
            line += [one.opts[0], url if one.opts[0] == parameter else "x"]
    wanted = [one for one in command.params if isinstance(one, click.Argument)]
    return [*line, *(url if not parameter else "x" for one in wanted if one.required or not parameter)]


def _shown(line: list[str]) -> str:
    """Return what a command prints and how it ends; the environment, which `exec` hands down, is as before then."""
    with patch.dict(os.environ):
        done = CliRunner().invoke(main, line)
    return f"{done.output} {done.exception!r}"


@pytest.mark.parametrize("name", COMMANDS)
def test_no_message_shows_the_password(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UPLOADER_JOURNAL", str(tmp_path / "none"))
    places = [parameter for command, parameter in _parameters() if command == name and (name, parameter) not in SERVES]
    for parameter in places:
        for url in URLS:
            line = _line(name, parameter, url)
            shown = _shown(line)
            assert not any(piece in shown for piece in PIECES), (line, shown)


@pytest.mark.parametrize("variable", ["UPLOADER_JOURNAL", "UPLOADER_INTO", "UPLOADER_MIRROR", "UPLOADER_BLOBS"])
def test_nor_where_a_variable_holds_it(variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for url in URLS:
        monkeypatch.setenv(variable, url)
        for line in (["status"], ["collect"], ["where"], ["exec", "--", "no-such-command"], ["pack", "x"]):
            shown = _shown(line)
            assert not any(piece in shown for piece in PIECES), (line, shown)


def test_nor_by_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError(f"of {URLS[0]}")

    monkeypatch.setattr("journal.locations.surroundings", fails)
    monkeypatch.setenv("UPLOADER_INTO", URLS[0])
    shown = _shown(["where"])
    assert "RuntimeError: of postgresql://uploader:***@127.0.0.1:1" in shown
    assert "SystemExit(1)" in shown


def test_what_was_made_of_a_password_is_hidden_and_other_words_stay() -> None:
    secrets = HiddenSecrets(
        ["--into=postgresql://a:a@h/a", "s3://k:long//and/t0ld@b", "postgresql://h/d?password=p%40p"]
    )
    assert secrets.out_of("a: postgresql:/a:a@h/a has a/b:a") == "a: postgresql:/a:***@h/a has a/b:a"
    assert secrets.out_of("s3:/k:long/and/t0ld@b") == "s3:/k:***@b"
    assert secrets.out_of("?password=p@p and ?password=p%40p") == "?password=*** and ?password=***"
    assert secrets.out_of("https://x:y@z") == "https://x:y@z"  # a run's own output is as it was recorded
    assert secrets.out_of_message("'https://x:y@z/' is none") == "'https://x:***@z/' is none"


@pytest.mark.parametrize(
    ("named", "shown", "why"),
    [
        ("postgres:/u:p@h/d", "u@h/d", None),
        ("postgresql://u:p@@/?#q@h:1/d?sslmode=x&password=q", "u@h:1/d?sslmode=x", "%40 for @"),
        ("postgresql://u:p?@h/d", "u@h/d", "PGPASSWORD"),
        ("postgresql://u@x:p@h/d", "u@x@h/d", None),
        ("postgresql://u@h:abc/d", "u@h:***/d", "the port in"),
        ("postgresql://u:p/d", "u:***/d", "the port in"),
        ("postgresql://u@h:0/d", "u@h:0/d", "no number from 1 to 65535"),
        ("postgresql://h1,h2:2/d", "h1,h2:2/d", None),
        ("postgresql://u@[::1]:5432/d", "u@[::1]:5432/d", None),
        ("postgresql:///d?host=/run/x", "@/d?host=/run/x", None),
        ("postgresql://h", "h", "names no database"),
        ("postgresql://h1:1,h2:2/d", "h1:1,h2:2/d", "names several servers, which are named as postgresql://user@/"),
    ],
)
def test_a_shared_journals_url_is_told_without_its_password(named: str, shown: str, why: str | None) -> None:
    url = shared_url(named)
    assert url is not None
    assert without_password(url) == f"postgresql://{shown}"
    told = why_unusable(url)
    assert told is None if why is None else told is not None and why in told
