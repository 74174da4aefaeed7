"""The drawings of docs/architecture.md are those that the imports make."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import grimp
import pytest

pytestmark = pytest.mark.repository

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
PACKAGES = ("journal", "uploader")

Edges = set[tuple[str, str]]


def drawing(package: str) -> str:
    (found,) = re.findall(rf"```mermaid\ngraph TD\n    %% {package}\n(.+?)```", PAGE, re.DOTALL)
    return found


def drawn(package: str) -> Edges:
    return set(re.findall(r"(\w+) --> (\w+)", drawing(package)))


def nodes(package: str) -> dict[str, str]:
    """Return the node of each module at the top of a package: the one whose label names its file, else its own name."""
    labels = re.findall(r'(\w+)\["(.+)"\]', drawing(package))
    return {name: node for node, label in labels for name in re.findall(r"(\w+)\.py", label)}


@cache
def imports() -> Edges:
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    return {(one, other) for one in graph.modules for other in graph.find_modules_directly_imported_by(one)}


def between_nodes(package: str) -> Edges:
    named = nodes(package)

    def node(module: str) -> str:
        top, _, rest = module.partition(".")
        name = rest.partition(".")[0] or "__init__"
        return named.get(name, name) if top == package else top

    found = {(node(one), node(other)) for one, other in imports() if one.partition(".")[0] == package}
    return {(one, other) for one, other in found if one != other}


def least(edges: Edges) -> Edges:
    """Return the edges that no longer way replaces."""
    after: Mapping[str, set[str]] = defaultdict(set)
    for one, other in edges:
        after[one].add(other)
    return {(one, other) for one, other in edges if other not in reached(after, after[one] - {other})}


def reached(after: Mapping[str, set[str]], begins: Iterable[str]) -> set[str]:
    found: set[str] = set()
    waiting = list(begins)
    while waiting:
        for each in after[waiting.pop()] - found:
            found.add(each)
            waiting.append(each)
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_the_arrows_are_the_imports(package: str) -> None:
    assert drawn(package) == least(between_nodes(package))


@pytest.mark.parametrize("package", PACKAGES)
def test_no_way_leads_back(package: str) -> None:
    after: Mapping[str, set[str]] = defaultdict(set)
    for one, other in between_nodes(package):
        after[one].add(other)
    assert [node for node in list(after) if node in reached(after, [node])] == []


def test_what_the_page_names_is_there() -> None:
    named = set(re.findall(r"`((?:journal|uploader)/[\w/.]+)`", PAGE))
    assert len(named) > 40
    assert {path for path in named if not (ROOT / path).exists()} == set()


def test_an_arrow_that_repeats_a_longer_way_is_left_out() -> None:
    assert least({("a", "b"), ("b", "c"), ("a", "c"), ("d", "c")}) == {("a", "b"), ("b", "c"), ("d", "c")}
