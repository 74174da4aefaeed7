"""Text of somebody else's, such as a training's name or output, made safe to print and cut to a width. Pure.

A terminal obeys escape sequences: they can move the cursor, change the title, write into the clipboard, or have it
type. What a journal holds was printed by a training, or said by a platform, and none of it may do that.
"""

from __future__ import annotations

import re
import unicodedata

_COLOUR = r"\x1b\[[0-9;:]*m"
# Whole sequences first, so that nothing of them stays as text: those with a string, control sequences, and the rest.
_SEQUENCE = re.compile(
    r"(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|\x1b[ -/]*[0-~]?"
)
_COLOURS = re.compile(_COLOUR)
# Control characters but the tab and the newline; those that turn the direction of writing; and line separators.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
_RESET = "\x1b[0m"
_TAB = 8
_WIDE = frozenset("WF")
_NO_WIDTH = frozenset({"Mn", "Me", "Cf"})


def printable(text: str, *, colours: bool = False) -> str:
    """Return text without anything that a terminal obeys, but newlines and tabs.

    Args:
        text: Whatever was recorded.
        colours: Whether colours are kept; they end with each line.
    """
    if not colours:
        return _CONTROL.sub("", _SEQUENCE.sub("", text))
    return "\n".join(map(_with_colours, text.split("\n")))


def _with_colours(line: str) -> str:
    parts = re.split(f"({_COLOUR})", line)
    kept = [part if _COLOURS.fullmatch(part) else printable(part) for part in parts]
    return "".join(kept) + (_RESET if len(parts) > 1 else "")


def one_line(text: str) -> str:
    """Return text as one line, without anything that a terminal obeys."""
    return " ".join(printable(text).split())


def width(text: str) -> int:
    """Return how many columns a line takes."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def cut(text: str, columns: int) -> str:
    """Return a line, cut to so many columns, with an ellipsis where something is missing."""
    if width(text) <= columns:
        return text
    kept, used = [], 0
    for character in text:
        used += _columns(character)
        if used > columns - 1:
            break
        kept.append(character)
    return "".join(kept) + "…"


def wrapped(text: str, columns: int, *, indent: int = 0) -> list[str]:
    """Return text as lines of so many columns at most, broken between words, or within one that is too long.

    Args:
        text: One line.
        columns: How many.
        indent: By how many columns all lines but the first are moved to the right.
    """
    lines, line, used = [], "", 0
    for word in re.findall(r"\s*\S+", text):
        if used and used + width(word) > columns:
            lines.append(line)
            line, used = " " * indent, indent
            word = word.lstrip()  # noqa: PLW2901
        for character in word:
            if used + _columns(character) > columns and used > indent:
                lines.append(line)
                line, used = " " * indent, indent
            line, used = line + character, used + _columns(character)
    return [*lines, line]


def spaced_out(line: str) -> str:
    """Return a line with its tabs as spaces, so that its columns can be counted."""
    return line.expandtabs(_TAB)


def _columns(character: str) -> int:
    if unicodedata.category(character) in _NO_WIDTH:
        return 0
    return 2 if unicodedata.east_asian_width(character) in _WIDE else 1
