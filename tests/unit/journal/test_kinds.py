"""Kinds of events and roles of checkpoints are named in one place, `journal/kinds.py`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from journal import kinds

ROOT = Path(__file__).parents[3]
# The server speaks the platform's words and imports nothing of ours. A step of the schema is never changed, so what the
# first one says stays there; views and indexes are made from `kinds`.
# The readers and the server have words of others, some of which are those of kinds.
ELSEWHERE = ("journal/kinds.py", "uploader/importing/readers/", "uploader/server/")
SOURCES = sorted(
    where
    for package in ("journal", "uploader")
    for path in (ROOT / package).rglob("*.py")
    if not (where := path.relative_to(ROOT).as_posix()).startswith(ELSEWHERE)
)
ROLES = {kinds.LAST, kinds.BEST, kinds.FINAL}
UNMISTAKABLE = {name for name in kinds.KINDS if "_" in name} - {kinds.GIVEN_UP}
IN_SQL = re.compile(rf"(?:kind|key|role)\s*(?:=|!=|IS|IN|NOT IN)\s*\(?[^)=]*?'({'|'.join([*kinds.KINDS, *ROLES])})'")


def literals(source: str) -> Iterator[str]:
    """Yield the kinds and roles that a module names by itself."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from {node.value} & UNMISTAKABLE
            yield from IN_SQL.findall(node.value)
        elif isinstance(node, ast.Compare):
            names = [name for side in (node.left, *node.comparators) for name in re.findall(r"\w+", ast.unparse(side))]
            if {"kind", "role", "key"} & set(names):
                yield from constants(node) & (kinds.KINDS.keys() | ROLES)
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "event" and node.args:
            yield from constants(node.args[0]) & kinds.KINDS.keys()


def constants(node: ast.AST) -> set[str]:
    return {one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)}


@pytest.mark.repository
def test_no_other_module_names_a_kind() -> None:
    assert [(where, name) for where in SOURCES for name in literals((ROOT / where).read_text("utf-8"))] == []


@pytest.mark.parametrize(
    "source",
    [
        "EPOCH = 'epoch_end'",
        "text(\"SELECT 1 FROM events WHERE kind = 'checkpoint'\")",
        "text(\"SELECT 1 FROM events e WHERE e.kind IN ('batch', 'usage')\")",
        "text(f\"SELECT 1 FROM {t} WHERE e.key = 'final'\")",
        "event.kind == 'interrupted'",
        "request.role != 'final'",
        "self._events.event('batch', {})",
    ],
)
def test_a_literal_is_seen(source: str) -> None:
    assert list(literals(source)) != []


def test_a_kind_that_is_not_in_the_table_is_kept() -> None:
    assert kinds.of("mine") == kinds.Kind("mine")
    assert (kinds.of("mine").superseded_by, kinds.of("mine").evicted_as) == (None, None)
