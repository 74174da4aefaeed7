"""Short names for what a script names for itself. Pure functions.

A name is one thing throughout a script: it is replaced wherever it names a variable, in whatever function, and nowhere
where it names a property. So nothing has to be known of scopes, as long as no script uses a name both for a variable of
its own and for the browser's. What a script exports, and what it does not declare, keeps its name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, product
from string import ascii_letters

from uploader.dashboard.script_tokens import NAME, Token, closes, opens

_RESERVED = frozenset(
    "arguments as async await break case catch class const continue debugger default delete do else enum export "
    "extends false finally for from function get if import in instanceof let new null of return set static super "
    "switch this throw true try typeof undefined var void while with yield Infinity NaN".split()
)
_IMPORTED, _EXPORTED, _OBJECT, _CLASS, _BLOCK = "import", "export", "object", "class", "block"
_BEFORE_BLOCKS = frozenset({")", "=>", "else", "try", "do", "finally", "catch", ";", "{", "}", ""})


@dataclass
class _Use:
    """Where a name stands: the token's number, and what is to stand there, by what stands between both names.

    That is ":" where it is a property as well as the variable of that name, " as " where it is imported.
    """

    place: int
    between: str = ""

    def text(self, name: str, short: str) -> str:
        return f"{name}{self.between}{short}" if self.between else short


def with_short_names(code: Sequence[Token]) -> None:
    """Replace the names of a script's variables by shorter ones, those first that stand there most often."""
    uses, kept = _uses(code)
    declared = _declared(code, uses)
    taken = uses.keys() | kept | _RESERVED
    free = (name for name in _short_names() if name not in taken)
    short = next(free)
    for name in sorted(declared - kept, key=lambda name: (-len(uses[name]), name)):
        if _gain(name, short, uses[name]) <= 0:
            continue
        for use in uses[name]:
            code[use.place].text = use.text(name, short)
        short = next(free)


def _short_names() -> Iterator[str]:
    first = (*ascii_letters, "_", "$")
    return chain(first, ("".join(pair) for pair in product(first, (*first, *"0123456789"))))


def _gain(name: str, short: str, uses: Sequence[_Use]) -> int:
    return sum(len(name) - len(use.text(name, short)) for use in uses)


def _uses(code: Sequence[Token]) -> tuple[dict[str, list[_Use]], set[str]]:
    """Return where each variable is named, and the names that others know: of exports."""
    found: dict[str, list[_Use]] = {}
    kept: set[str] = set()
    for place, inside in _rooms(code):
        if code[place].kind != NAME or code[place].text in _RESERVED:
            continue
        name, before, after = code[place].text, _text(code, place - 1), _text(code, place + 1)
        if inside == _EXPORTED or _is_exported(code, place):
            kept.add(name)
        is_member = inside in (_OBJECT, _CLASS) and before in ("{", ",", "get", "set", "static", "async", ";", "}")
        if before in (".", "?.", "#") or (is_member and (after in (":", "(") or inside == _CLASS)):
            continue
        between = " as " if inside == _IMPORTED else ":" if is_member else ""
        found.setdefault(name, []).append(_Use(place, between))
    return found, kept


def _rooms(code: Sequence[Token]) -> Iterator[tuple[int, str]]:
    """Yield each token's number, and in what kind of brackets it stands."""
    open_ones = [_BLOCK]
    for place, token in enumerate(code):
        if closes(token) and len(open_ones) > 1:
            open_ones.pop()
        if opens(token):
            open_ones.append(_kind(code, place))
        yield place, open_ones[-1]


def _kind(code: Sequence[Token], place: int) -> str:
    """Return what an opening bracket begins."""
    if code[place].text != "{":
        return code[place].text
    before = _text(code, place - 1)
    if before in (_IMPORTED, _EXPORTED):
        return before
    if "class" in (_text(code, place - 2), _text(code, place - 4)) and code[place - 1].kind == NAME:
        return _CLASS
    return _BLOCK if before in _BEFORE_BLOCKS else _OBJECT


def _is_exported(code: Sequence[Token], place: int) -> bool:
    words = [_text(code, place - back) for back in (1, 2, 3)]
    return words[0] in ("const", "class", "function") and "export" in words[1:] and words[1] in ("export", "async")


def _declared(code: Sequence[Token], uses: Iterable[str]) -> set[str]:
    """Return the names of variables, functions, classes and parameters."""
    found: set[str] = set()
    ends = _ends(code)
    for place, token in enumerate(code):
        after = place + 1
        if token.text == "import" and _text(code, after) == "{":
            found.update(one.text for one in code[after : ends[after]])
        elif token.text in ("const", "let", "class", "function") and after < len(code):
            found.update(_bound(code, after, ends.get(after, after)))
            if token.text in ("const", "let"):
                found.update(_further(code, after, ends))
        elif token.kind == NAME and _text(code, after) == "=>":
            found.add(token.text)
        elif token.text == "(" and _are_parameters(code, place, ends.get(place, place)):
            found.update(_bound(code, after, ends[place]))
    return found.intersection(uses)


def _further(code: Sequence[Token], place: int, ends: dict[int, int]) -> Iterator[str]:
    """Yield the names behind the first one of `let a = 1, b, c;`."""
    while place < len(code) and code[place].text not in (";", "of", "in", ")"):
        if code[place].text == "," and code[place + 1].kind == NAME:
            yield code[place + 1].text
        place = ends.get(place, place) + 1


def _bound(code: Sequence[Token], first: int, last: int) -> Iterator[str]:
    """Yield the names that a pattern, or the parameters between two places, give to values."""
    for place in range(first, last + 1):
        if code[place].kind == NAME and code[place].text not in _RESERVED:
            is_alone = first == last
            begins = _text(code, place - 1) in ("{", ",", "[", "(", ":", "...")
            if is_alone or (begins and _text(code, place + 1) in (",", "}", "]", ")", "=")):
                yield code[place].text


def _are_parameters(code: Sequence[Token], place: int, end: int) -> bool:
    after, before = _text(code, end + 1), _text(code, place - 1)
    return after == "=>" or (after == "{" and before not in ("if", "for", "while", "switch"))


def _ends(code: Sequence[Token]) -> dict[int, int]:
    """Return where each bracket is closed."""
    found: dict[int, int] = {}
    open_ones: list[int] = []
    for place, token in enumerate(code):
        if closes(token) and open_ones:
            found[open_ones.pop()] = place
        if opens(token):
            open_ones.append(place)
    return found


def _text(code: Sequence[Token], place: int) -> str:
    return code[place].text if 0 <= place < len(code) else ""
