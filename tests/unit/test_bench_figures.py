"""How the benches come to their figures, and where these go."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from benches.__main__ import BENCHES, DOCUMENT
from benches.measure import Result, Target, in_turn, percentile, table
from benches.report import as_markdown, write_sections


@pytest.mark.parametrize(("part", "value"), [(0.5, 50), (0.95, 95), (1.0, 100), (0.001, 1)])
def test_a_percentile_is_a_reading(part: float, value: float) -> None:
    assert percentile(range(1, 101), part) == value


def test_contenders_take_turns_and_each_goes_first() -> None:
    order: list[str] = []
    contenders = {name: lambda name=name: order.append(name) or [1.0] for name in "abc"}
    assert in_turn(contenders, 3) == {name: [1.0] * 3 for name in "abc"}
    assert "".join(order) == "abcbcacab"


def test_rows_are_held_against_the_first() -> None:
    found = table("t", "ms", {"base": [1, 2, 3], "other": [4, 4, 10]}, 1000)
    assert (found.row("other").p50, found.row("other").worst, found.ratio("other")) == (4000, 10000, 2)
    assert found.ratio("base") == 1


def test_the_worst_rate_is_the_lowest() -> None:
    row = table("t", "1/s", {"base": [5.0, 9.0, 7.0]}, more_is_better=True).rows[0]
    assert (row.p50, row.p95, row.worst) == (7, 5, 5)


@pytest.mark.parametrize(("value", "at_least", "met"), [(5, False, True), (6, False, False), (4, True, False)])
def test_a_target_is_met_or_missed(value: float, at_least: bool, met: bool) -> None:
    target = Target("wait", value, 5, at_least)
    assert target.met is met
    assert ("**missed**" in as_markdown(Result((), (target,), ()))) is not met


def test_a_section_is_replaced_and_the_rest_is_kept(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# Page\n<!-- bench a -->\nold\n<!-- end of bench a -->\nkept\n<!-- bench b -->\n<!-- end of bench b -->\n"
    )
    for _ in range(2):
        write_sections(page, {"a": Result((), (), ("new",))}, {"CPU": "some"})
    text = page.read_text()
    assert text.count("- new") == 1
    assert "old" not in text
    assert "kept" in text


def test_a_bench_without_a_section_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Page\n")
    with pytest.raises(ValueError, match="no section"):
        write_sections(page, {"a": Result((), (), ())}, {})
    assert page.read_text() == "# Page\n"


def test_every_bench_has_its_section() -> None:
    assert tuple(re.findall(r"<!-- bench (\w+) -->", DOCUMENT.read_text("utf-8"))) == BENCHES
