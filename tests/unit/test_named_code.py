"""What the pages name of the code is there, under that name."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

pytestmark = pytest.mark.repository

ROOT = Path(__file__).parents[2]
TOY = re.compile(r"/toy[/.]|NNNN")
"""What a page tells the reader to make."""
PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "CONTRIBUTING.md", ROOT / "README.md"]


@cache
def members() -> dict[str, set[str]]:
    """Return what each class of ours has, by the class's name."""
    found: dict[str, set[str]] = {}
    for path in (path for folder in ("journal", "uploader", "scripts") for path in (ROOT / folder).rglob("*.py")):
        for each in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(each, ast.ClassDef):
                found.setdefault(each.name, set()).update(map(_name, each.body))
    return found


def _name(statement: ast.stmt) -> str:
    if isinstance(statement, ast.AnnAssign | ast.Assign):
        target = statement.target if isinstance(statement, ast.AnnAssign) else statement.targets[0]
        return target.id if isinstance(target, ast.Name) else ""
    return getattr(statement, "name", "")


def misnamed(text: str) -> list[str]:
    """Return the paths, and the members of our classes, that a page names and that are not there."""
    paths = re.findall(r"`((?:journal|uploader|scripts|tests|examples|notebooks)/[\w/.-]+)`", text)
    named = re.findall(r"`([A-Z]\w+)\.(\w+)`", text)
    lost = [path for path in paths if not TOY.search(path) and not (ROOT / path).exists()]
    return lost + [f"{one}.{member}" for one, member in named if one in members() and member not in members()[one]]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_names_is_in_the_code(page: Path) -> None:
    assert misnamed(page.read_text("utf-8")) == []


def test_what_is_misnamed() -> None:
    text = "`Claims.take` in `journal/outbox/claims.py`, `Claims.make_due`, `journal/claims.py`, `Thread.start`"
    assert misnamed(text) == ["journal/claims.py", "Claims.make_due"]
