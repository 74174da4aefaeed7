"""A script's text as tokens, for what rewrites scripts. Pure functions.

They know the JavaScript that our own scripts use; each token is one of its words, signs or texts as it stands there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

NAME, TEXT, SIGN = "name", "text", "sign"
_GAP = re.compile(r"(?:\s+|//[^\n]*|/\*.*?\*/)+", re.DOTALL)
_TOKEN = re.compile(
    r"""(?P<name>[A-Za-z_$][\w$]*)|(?P<text>\d[\w.]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`)"""
    r"|(?P<sign>=>|\.\.\.|\?\.(?!\d)|\$\{|.)"
)
_PART = re.compile(r"(?:\\.|\$(?!\{)|[^`\\$])*(`|\$\{)", re.DOTALL)
_PATTERN = re.compile(r"/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\[\n])+/[a-z]*")
_BEFORE_PATTERNS = frozenset({"return", "typeof", "case", "in", "of", "await", "yield", "void", "delete", "else"})


@dataclass
class Token:
    r"""A part of a script.

    Attributes:
        kind: `NAME` (reserved words among them), `TEXT` (strings, numbers, patterns, parts of templates) or `SIGN`.
        text: As it stands there.
        gap: What stands before it: "", " ", or "\n" where a line ends there.
    """

    kind: str
    text: str
    gap: str = ""


def tokens(code: str) -> list[Token]:
    """Return a script's tokens, without its comments.

    A template is several texts: from its beginning, or the end of an inserted expression, to the next one or its end.
    """
    found: list[Token] = []
    inserted: list[bool] = []  # for each brace that is open: whether it holds an expression in a template
    place, end = 0, len(code)
    while place < end:
        gap = ""
        if space := _GAP.match(code, place):
            gap, place = "\n" if "\n" in space[0] else " ", space.end()
            if place == end:
                break
        one = _next(code, place, found, continues=code[place] == "}" and bool(inserted) and inserted[-1])
        found.append(Token(one[0], one[1], gap))
        place += len(one[1])
        if found[-1].text.startswith("}") and inserted:
            inserted.pop()
        if found[-1].text.endswith(("{", "${")) and opens(found[-1]):
            inserted.append(found[-1].kind == TEXT)
    return found


def opens(token: Token) -> bool:
    """Return whether a bracket, or an expression in a template, begins with a token."""
    return token.text in ("(", "[", "{") or (token.kind == TEXT and token.text.endswith("${"))


def closes(token: Token) -> bool:
    """Return whether one ends with it."""
    return token.text in (")", "]", "}") or (token.kind == TEXT and token.text.startswith("}"))


def _next(code: str, place: int, before: list[Token], *, continues: bool) -> tuple[str, str]:
    """Return the kind and the text of the token at a place; `continues`: where it goes on with a template."""
    if continues or code[place] == "`":
        part = _PART.match(code, place + 1)
        assert part, f"a template has no end: {code[place : place + 40]}"
        return TEXT, code[place : part.end()]
    if code[place] == "/" and _may_begin_pattern(before) and (pattern := _PATTERN.match(code, place)):
        return TEXT, pattern[0]
    one = _TOKEN.match(code, place)
    assert one is not None, f"no token: {code[place : place + 40]}"
    return str(one.lastgroup), one[0]


def _may_begin_pattern(before: list[Token]) -> bool:
    """Return whether a slash begins a pattern, rather than divide what stands before it."""
    if not before:
        return True
    last = before[-1]
    return last.text in _BEFORE_PATTERNS or (last.kind == SIGN and last.text not in (")", "]", "}"))
