"""Which metrics share a chart, in which order, and where a curve is broken."""

from __future__ import annotations

import re

import click
import pytest

from uploader.commands.curves import Look, charts, drawn, unbroken
from uploader.commands.terminal_text import width


def titles(*names: str) -> list[tuple[str, list[str]]]:
    return [(chart.title, list(chart.lines)) for chart in charts({name: [1.0, 2.0] for name in names})]


def test_losses_come_first_then_what_says_most_then_the_rest() -> None:
    names = (
        "lr",
        "metrics/mAP50(B)",
        "metrics/recall(B)",
        "metrics/other",
        "val/box",
        "train/box",
        "metrics/mAP50-95(B)",
    )
    assert titles(*names) == [
        ("box", ["train", "val"]),
        ("(B)", ["mAP50-95", "mAP50"]),
        ("(B)", ["recall"]),
        ("other", [""]),
        ("lr", [""]),
    ]


def test_boxes_and_masks_do_not_share_one() -> None:
    assert titles("metrics/mAP50(B)", "metrics/mAP50(M)") == [("(B)", ["mAP50"]), ("(M)", ["mAP50"])]


def test_what_identifies_an_epoch_is_no_metric() -> None:
    assert titles("epoch", "recorded_at", "fitness") == []


def test_no_line_is_drawn_over_an_epoch_without_a_value() -> None:
    parts = unbroken([0, 1, 2, 4, 5], [1.0, None, 2.0, 3.0, None])
    assert parts == [[(0, 1.0)], [(2, 2.0), (4, 3.0)]]


@pytest.mark.parametrize("values", [[1.0, 1.0], [0.0, 1e-12], [-1e308, 1e308], [0.0, 5e-324], [None, 2.0], [3, 4]])
@pytest.mark.parametrize("columns", [40, 79, 80, 300])
@pytest.mark.parametrize("is_ascii", [False, True])
def test_charts_fit_whatever_they_show(values: list[float | None], columns: int, is_ascii: bool) -> None:
    found = charts(
        {"a" * 100: values, "train/名前": values, "metrics/precision(B)": values, "metrics/recall(B)": values}
    )
    lines = drawn([0, 1], found, Look(columns, is_ascii=is_ascii))
    assert max(width(click.unstyle(line)) for line in lines) <= columns
    assert any(mark in "\n".join(lines) for mark in ("*o" if is_ascii else "⠁⠈⡀⢀⠉⣀⠤⠒"))


def test_the_colour_of_a_curve_is_not_that_of_what_is_beside_it() -> None:
    values = {"train/box": [3.0, 2.0, 1.0], "val/box": [3.0, 2.5, 2.0], "train/cls": [9.0, 5.0, 4.0]}
    lines = drawn([0, 1, 2], charts(values), Look(100))
    coloured = re.findall(r"\x1b\[38;5;\d+m(.*?)(?:\x1b\[0m|$)", "\n".join(lines), re.DOTALL)
    assert re.search(r"[\u2801-\u28ff]", "".join(coloured))
    assert not re.search(r"\w", "".join(coloured))
