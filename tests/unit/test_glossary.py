"""The words of docs/glossary.md are those of the code, and the words that they have replaced are not."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

pytestmark = pytest.mark.repository

ROOT = Path(__file__).parents[2]
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text("utf-8")
ROWS = re.findall(r"^\| \*\*(.+?)\*\* \|.*\| (.+?) \|$", GLOSSARY, re.MULTILINE)

REPLACED = (
    "books channel channels choices courier couriers crew dispensable expendable feeder link orders "
    "pace pulse quiet reclaim revive revived shelter sink sinks strikes supplies takeover"
).split()
ELSEWHERE = {
    "sink.py": "sink",  # a name that scripts import, as is the recorder's
    "recorder.py": "sink",
    "checkpoint_files.py": "link",  # a hard link
}


@cache
def sources() -> dict[Path, str]:
    return {
        path: path.read_text("utf-8") for package in ("journal", "uploader") for path in (ROOT / package).rglob("*.py")
    }


@cache
def words_of_the_code() -> frozenset[str]:
    return frozenset(word for text in sources().values() for word in re.findall(r"\w+", text))


def defined(source: str) -> Iterator[str]:
    """Yield the names that a module gives: to classes, functions, parameters, variables and attributes."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr


def parts(name: str) -> set[str]:
    """Return the words that a name is put together of."""
    return {part.lower() for part in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)}


def replaced_words(path: Path, source: str) -> set[str]:
    names = [path.stem, *defined(source)]
    used = {word for name in names for word in parts(name)} & set(REPLACED)
    return used - {ELSEWHERE.get(path.name)}


def test_the_glossary_has_each_word_once() -> None:
    words = [word for word, _ in ROWS]
    assert len(words) == len(set(words)) > 60


def test_each_word_stands_in_the_code() -> None:
    named = {word: set(re.findall(r"`(\w+)`", places)) for word, places in ROWS}
    assert {word: names for word, names in named.items() if not names or names - words_of_the_code()} == {}


def test_no_replaced_word_is_in_the_glossary() -> None:
    assert set(re.findall(r"^\| \*\*(\w+)\*\*", GLOSSARY, re.MULTILINE)) & set(REPLACED) == set()


def test_no_replaced_word_comes_back() -> None:
    found = {path.relative_to(ROOT).as_posix(): replaced_words(path, text) for path, text in sources().items()}
    assert {path: words for path, words in found.items() if words} == {}


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("class Sink: ...", "sink"),
        ("def _open_link(): ...", "link"),
        ("def f(the_crew): ...", "crew"),
        ("PULSE_SECONDS = 1", "pulse"),
        ("class A:\n    def f(self):\n        self.books = 1", "books"),
    ],
)
def test_a_replaced_word_is_seen(source: str, word: str) -> None:
    assert replaced_words(Path("other.py"), source) == {word}
