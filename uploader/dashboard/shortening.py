"""Scripts and styles as browsers get them: without what only their readers need. Pure functions.

There is no build step: the server does this when a file is first asked for. It knows the forms that our own files use.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from uploader.dashboard.script_names import with_short_names
from uploader.dashboard.script_tokens import NAME, SIGN, Token, closes, opens, tokens

_SAME = {"const": "let", "true": "!0", "false": "!1"}
_WORD = re.compile(r"[\w$]")
_STYLE = re.compile(r'(?P<text>"[^"]*")|(?P<gap>(?:\s+|/\*.*?\*/)+)|(?P<other>[^\s"/]+|/)', re.DOTALL)
_TIGHT_AFTER, _TIGHT_BEFORE = "{};,:(>", "{};,)>!"
_SHORTER = ((r"(?<![\w.])0\.(?=\d)", "."), ("::(?=before|after)", ":"), ("transparent", "#0000"))
_BARE = re.compile(r'"([a-z][a-z-]*)"')
"""What needs no quotes behind an attribute's name."""


def shorter_script(code: str) -> str:
    """Return a module that does the same: without comments and spaces, and with short names for its own variables."""
    found = tokens(code)
    with_short_names(found)
    return "".join(_joined([*_declared_together(_without_brackets(found))]))


def shorter_style(style: str) -> str:
    """Return a style sheet that says the same: without comments and spaces."""
    parts: list[str] = []
    for part in _STYLE.finditer(style):
        if part.lastgroup == "text":
            parts.append(_BARE.sub(r"\1", part[0]) if parts and parts[-1][-1] == "=" else part[0])
        elif part.lastgroup == "other":
            parts.append(_shorter_words(part[0]))
        elif parts and parts[-1][-1] not in _TIGHT_AFTER:
            parts.append(" ")
        if len(parts) > 1 and parts[-2] == " " and parts[-1][0] in _TIGHT_BEFORE:
            del parts[-2]
    return re.sub(r";}", "}", "".join(parts)).strip()


def _shorter_words(text: str) -> str:
    for long, short in _SHORTER:
        text = re.sub(long, short, text)
    return text


def shorter_template(template: str) -> str:
    """Return a template that says the same: its lines begin without spaces, and so do those of the styles in it."""
    found = re.sub(r"(?<=<style>)[^{][^<]+", lambda style: shorter_style(style[0]), template)
    return re.sub(r"\n\s+", "\n", found)


def _without_brackets(code: list[Token]) -> Iterator[Token]:
    """Yield the tokens; of a function `(name) => …` without those around its parameter."""
    place = 0
    while place < len(code):
        four = code[place : place + 4]
        if [one.text for one in four[::2]] == ["(", ")"] and four[1].kind == NAME and four[-1].text == "=>":
            yield replace(four[1], gap=four[0].gap)
            place += 3
        else:
            yield code[place]
            place += 1


def _declared_together(code: Iterable[Token]) -> Iterator[Token]:
    """Yield the tokens, with a comma in place of the `;` and the `let` between declarations that follow each other."""
    declares = [False]  # by open bracket: whether the statement that goes on there is such a declaration
    last = Token(SIGN, "")
    for each in code:
        token = replace(each, text=_SAME.get(each.text, each.text)) if each.kind == NAME and last.text != "." else each
        if closes(token) and len(declares) > 1:
            declares.pop()
        if token.text == "let":
            if last.text == ";" and declares[-1]:
                last = Token(SIGN, ",")
                continue
            declares[-1] = last.text != "export"
        elif last.text == ";" and not closes(token):
            declares[-1] = False
        if opens(token):
            declares.append(False)
        yield last
        last = token
    yield last


def _joined(code: list[Token]) -> Iterator[str]:
    last = ""
    for place, token in enumerate(code):
        following = code[place + 1].text if place + 1 < len(code) else ""
        if (token.text == ";" and following.startswith("}")) or (token.text == "," and following in (")", "]", "}")):
            continue
        if last and token.gap and _must_be_apart(last, token.text, token.gap):
            yield token.gap
        yield token.text
        last = token.text


def _must_be_apart(before: str, after: str, gap: str) -> bool:
    """Return whether two parts would mean something else without the gap between them."""
    if _WORD.match(before[-1]) and _WORD.match(after[0]):
        return True
    if before[-1] + after[0] in ("++", "--", "//", "/*"):
        return True
    return gap == "\n" and before[-1] in ")]`\"'" and bool(_WORD.match(after[0]))  # a statement without its semicolon
