"""What a command draws on: lines with styles, which a terminal shows in colour where it wants them, else plain text."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from uploader.commands.terminal_text import width

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

STATE_STYLES = {
    "running": "cyan",
    "silent": "yellow",
    "finished": "green",
    "failed": "red",
    "interrupted": "yellow",
    "cancelled": "yellow",
}
"""How the state of a run is shown."""
_UNKNOWN = (10_000, 40)
"""Columns and lines of what is no terminal: nothing is cut, and a screen's worth is shown."""
_COMMAND, _GLUE = re.compile("`[^`]*`"), "\0"


@dataclass(frozen=True)
class Screen:
    """What there is to draw on.

    Attributes:
        width: Columns.
        height: Lines; None for as many as it takes.
        is_terminal: Whether somebody looks at it, and not a program.
    """

    width: int
    height: int | None
    is_terminal: bool = False


@dataclass(frozen=True)
class Line:
    """One line.

    Attributes:
        parts: Each a text and its style, in rich's words.
    """

    parts: tuple[tuple[str, str], ...] = ()

    @property
    def plain(self) -> str:
        """Its text alone."""
        return "".join(text for text, _ in self.parts).rstrip()


def line(text: str = "", style: str = "") -> Line:
    """Return a line of one style."""
    return Line(((text, style),))


def screen(*, whole: bool = False) -> Screen:
    """Return the terminal's size, or what stands for it where there is none.

    Args:
        whole: Whether to show everything, however many lines it takes.
    """
    is_terminal = (
        sys.stdout.isatty()
    )  # elsewhere, readline of a calling Python may have put a size into the environment
    columns, lines = shutil.get_terminal_size(_UNKNOWN) if is_terminal else _UNKNOWN
    return Screen(columns, None if whole else lines - 1, is_terminal)  # the prompt takes a line


def show(lines: Iterable[Line]) -> None:
    """Print lines; what draws in colour is imported for a terminal alone."""
    if not sys.stdout.isatty():
        for each in lines:
            click.echo(each.plain)
        return
    out = console()
    for each in lines:
        out.print(as_rich(each), soft_wrap=True)


def console() -> Console:
    """Return the terminal, which has colours only if it wants them."""
    from rich.console import Console

    usual = Console(highlight=False)
    return Console(color_system=None, highlight=False) if usual.no_color else usual


def as_rich(one: Line) -> Text:
    """Return a line as rich draws it."""
    from rich.text import Text

    return Text.assemble(*one.parts)


def wrapped(text: str, on: Screen, indent: int) -> list[str]:
    """Return a text as lines that fit a terminal, as far as that breaks neither words nor commands to be copied."""
    first, later = " " * indent, " " * (indent + 2)
    if not on.is_terminal:
        return [first + text]
    glued = _COMMAND.sub(lambda command: command[0].replace(" ", _GLUE), text)
    wrapper = textwrap.TextWrapper(
        on.width, initial_indent=first, subsequent_indent=later, break_long_words=False, break_on_hyphens=False
    )
    return [each.replace(_GLUE, " ") for each in wrapper.wrap(glued)] or [""]


def lines_taken(text: str, on: Screen) -> int:
    """Return how many lines of the screen a line takes; a terminal goes on in the next where one is too long."""
    return -(-max(1, width(text)) // on.width)
