"""Every link between our pages leads to a file that is there, and to a heading that it has."""

from __future__ import annotations

import re
import runpy
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest

pytestmark = pytest.mark.repository

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").glob("*.md"))
)
FENCE = re.compile(r"^ *(`{3,})[^`]*?^ *\1`* *$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(<?([^)\s>]+)>?(?: +\"[^\"]*\")?\)|^\[[^\]]+\]: +<?(\S+?)>?$", re.MULTILINE)
PICTURE = re.compile(r"<(?:img|source)\b[^>]*? src(?:set)?=\"([^\"]+)\"")
UNSAID = re.compile(r"!\[\s*\]\(|<img\b(?![^>]* alt=\"[^\"]+\")")
SHOWN = ROOT / "docs" / "pictures"
OUTSIDE = re.compile(r"[a-z][a-z0-9+.-]*:|//")


def prose(text: str) -> str:
    """Return a page without its blocks of code."""
    return FENCE.sub("", text)


def anchors(text: str) -> set[str]:
    """Return the names by which a page's headings are reached, as GitHub and the site make them."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in HEADING.findall(prose(text)):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        found.add(f"{name}-{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return found


def links(text: str) -> Iterator[str]:
    """Yield where a page's links lead within the project."""
    bare = re.sub(r"`[^`\n]+`", "", prose(text))
    for target in (*(one or other for one, other in LINK.findall(bare)), *PICTURE.findall(bare)):
        if not OUTSIDE.match(target):
            yield target


@cache
def anchors_of(page: Path) -> set[str]:
    return anchors(page.read_text("utf-8"))


def dead(text: str, page: Path) -> list[str]:
    """Return the links of a page that lead nowhere, or out of the project."""
    found = []
    for link in links(text):
        path, _, anchor = link.partition("#")
        target = (page.parent / unquote(path)).resolve()
        if not path:
            is_there = anchor in anchors(text)
        elif anchor and target.suffix == ".md" and target.exists():
            is_there = anchor in anchors_of(target)
        else:
            is_there = target.exists() and target.is_relative_to(ROOT)
        found += [] if is_there else [link]
    return found


@pytest.mark.parametrize("page", PAGES)
def test_each_link_leads_somewhere(page: str) -> None:
    assert dead((ROOT / page).read_text("utf-8"), ROOT / page) == []


def test_the_pages_link_to_each_other() -> None:
    assert {"README.md", "CONTRIBUTING.md", "docs/operations.md", "docs/adr/README.md"} <= set(PAGES)
    assert sum(len(list(links((ROOT / page).read_text("utf-8")))) for page in PAGES) > 100


def test_each_page_has_its_place_on_the_site() -> None:
    """Once, in the margin; the records of decisions are below their list."""
    site = runpy.run_path(str(ROOT / "docs" / "site" / "conf.py"))
    places = [site["document"](name) for names in site["NAVIGATION"].values() for name in names.split()]
    pages = [page.removesuffix(".md") for page in PAGES]
    assert sorted([*places, site["root_doc"]]) == [page for page in pages if not re.match(r"docs/adr/\d", page)]


@pytest.mark.parametrize("page", PAGES)
def test_each_picture_says_what_is_seen(page: str) -> None:
    assert UNSAID.findall(prose((ROOT / page).read_text("utf-8"))) == []


@pytest.mark.parametrize("picture", ["![](a.png)", '<img src="a.png">', '<img src="a.png" alt="">'])
def test_a_picture_that_says_nothing_is_seen(picture: str) -> None:
    assert UNSAID.search(picture)


def test_each_picture_is_shown_and_all_of_them_are_small() -> None:
    shown = {(ROOT / page).parent / link for page in PAGES for link in links((ROOT / page).read_text("utf-8"))}
    assert sorted(SHOWN.iterdir()) == sorted(path for path in shown if path.suffix == ".png")
    assert sum(path.stat().st_size for path in SHOWN.iterdir()) < 700_000


@pytest.mark.parametrize(
    "link",
    [
        "[a](lost.md)",
        "[a](#lost)",
        "[a](glossary.md#lost)",
        "[a](../../outside.md)",
        '[a](lost.md "title")',
        "[a]: lost.md",
        "![a](lost.png)",
        '<img width="9" src="lost.png" alt="a">',
        '<source media="(x: dark)" srcset="lost.png">',
    ],
)
def test_one_that_leads_nowhere_is_seen(link: str) -> None:
    assert len(dead(f"# A page\n\n{link}\n", ROOT / "docs" / "page.md")) == 1


@pytest.mark.parametrize(
    "link",
    [
        "[a](glossary.md)",
        "[a](#a-page-of-code)",
        "[a](https://example.com/x#y)",
        "`[a](lost.md)`",
        "```\n[a](lost.md)\n```",
    ],
)
def test_one_that_leads_somewhere_is_none_of_them(link: str) -> None:
    assert dead(f"# A page, of `code`\n\n{link}\n", ROOT / "docs" / "page.md") == []


def test_headings_of_one_name_are_numbered() -> None:
    assert anchors("# Same\n## Same\n```\n# Code\n```\n### [Link](x.md) & _more_\n") == {
        "same",
        "same-1",
        "link--_more_",
    }
