"""The table of docs/design.md that tells which tests run on which engine is about the modules that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
DESIGN = TESTS.parent / "docs" / "design.md"
SECTION = DESIGN.read_text("utf-8").split("### The engines of the tests")[1].split("\n## ")[0]
ROWS = {
    folder: (set(re.findall(r"`(\w+)`", both)), set(re.findall(r"`(\w+)`", others)), "all others" in others)
    for folder, both, others in re.findall(r"^\| `([\w/]+)` \| (.*?) \| (.*?) ?\|$", SECTION, re.MULTILINE)
}


def modules(folder: str) -> dict[str, bool]:
    """Return the modules of a folder, and whether each runs on both engines."""
    found = (TESTS / folder).glob("test_*.py")
    return {file.stem.removeprefix("test_"): "\nON_BOTH_ENGINES = True\n" in file.read_text("utf-8") for file in found}


@pytest.mark.parametrize("folder", ROWS)
def test_the_table_names_the_modules_that_run_on_both_and_no_others(folder: str) -> None:
    on_both, in_a_file, leaves_others = ROWS[folder]
    found = modules(folder)
    assert on_both == {name for name, both in found.items() if both}
    assert in_a_file <= {name for name, both in found.items() if not both}
    assert leaves_others or in_a_file | on_both == set(found)


def test_no_folder_is_left_out() -> None:
    told = {
        str(file.parent.relative_to(TESTS))
        for file in TESTS.rglob("test_*.py")
        if "\nON_BOTH_ENGINES = True\n" in file.read_text("utf-8")
    }
    assert told == set(ROWS)
