"""Messages name the next step as a command: each that is named is one, with its options."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from uploader.__main__ import COMMANDS, main

pytestmark = pytest.mark.repository

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path.relative_to(ROOT).as_posix()
    for package in ("journal", "uploader")
    for path in (ROOT / package).rglob("*.py")
    if "uploader/server/" not in path.as_posix()
)
LIKE_ONE = re.compile(rf"(?:{'|'.join(COMMANDS)})(?: (?:--[a-z]|[A-Z]+\b).*)?")


def named(source: str) -> Iterator[str]:
    """Yield the commands that a module names: what it hands to `next_command`, and what looks like one."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "next_command":
            yield from filter(None, [text(node.args[0])])
        elif isinstance(node, (ast.Constant, ast.JoinedStr)) and (found := text(node)):
            found = found.removeprefix("python -m uploader ").removeprefix("X ")
            if " " in found and LIKE_ONE.fullmatch(found):
                yield found


def text(node: ast.AST) -> str:
    """Return a string, with X for what is filled in, or nothing where it is made elsewhere."""
    if isinstance(node, ast.JoinedStr):
        return "".join(text(part) or "X" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def wrong(command: str) -> str | None:
    """Return what is wrong with a command."""
    name, *words = command.partition(" -- ")[0].split()  # what `exec` runs is somebody else's
    if name not in COMMANDS:
        return f"there is no {name}"
    found = main.get_command(click.Context(main), name)
    assert found is not None
    options = {option for each in found.params if isinstance(each, click.Option) for option in each.opts}
    return next((f"{name} has no {word}" for word in words if word.startswith("--") and word not in options), None)


def test_each_command_that_a_message_names_is_one() -> None:
    commands = ((where, command) for where in SOURCES for command in named((ROOT / where).read_text("utf-8")))
    assert [(where, fault) for where, command in commands if (fault := wrong(command))] == []


@pytest.mark.parametrize(
    "source",
    [
        "next_command('deliver', folder)",
        "next_command(f'drain --too {url}', folder)",
        "[next_command(words, folder) for words in ('retry ID', 'drop --from URL')]",
        "f'{PROGRAM} doctor --mend'",
    ],
)
def test_one_that_is_none_is_seen(source: str) -> None:
    assert [wrong(command) for command in named(source) if wrong(command)] != []


def test_the_journal_names_some() -> None:
    every = [
        command for where in SOURCES for command in named((ROOT / where).read_text("utf-8")) if "journal/" in where
    ]
    assert {"doctor --repair", "retry ID", "drop ID"} <= {command.partition(" --journal")[0] for command in every}
