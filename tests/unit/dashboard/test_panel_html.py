"""The panel of a run as HTML."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

pytest.importorskip("jinja2")

from uploader.dashboard.shown import Columns, DestinationLine, RunFacts, RunLine, RunNews
from uploader.viewing.panel_html import curves, panel_html, time_left

BEGIN = datetime(2026, 11, 1, tzinfo=timezone.utc)
LINE = RunLine("k", "t1", "demo", "running", epochs_done=3, epochs_planned=10)


def columns(*values: float | None, name: str = "metrics/a") -> Columns:
    times = [(BEGIN + timedelta(seconds=30 * place)).isoformat() for place in range(len(values))]
    return Columns(list(range(len(values))), times, {name: list(values)})


def test_how_good_the_model_is_comes_first_and_the_learning_rate_last() -> None:
    names = ("lr", "train/box_loss", "val/box_loss", "metrics/recall(B)", "metrics/mAP50-95(B)")
    told = Columns([0], [None], {name: [1.0] for name in names})
    assert [each.name for each in curves(told)] == ["mAP50-95(B)", "recall(B)", "val/box_loss", "train/box_loss", "lr"]


def test_names_with_numbers_are_in_the_order_of_these_and_what_is_left_out_is_counted() -> None:
    told = Columns([0], [None], {f"metric_{number}": [1.0] for number in (10, 1, 11, 2, 3, 4, 5)})
    assert [each.name for each in curves(told)] == [f"metric_{number}" for number in (1, 2, 3, 4, 5, 10)]
    assert "1 more" in panel_html(RunNews("", LINE, epochs=told), "journal")


def test_a_curve_goes_from_left_to_right_and_up_and_skips_what_was_not_told() -> None:
    [curve] = curves(columns(0.0, None, 1.0))
    assert (curve.points, curve.last) == ("3.0,33.0 147.0,3.0", "1")
    assert curves(columns(1e308, -1e308))[0].points == "3.0,3.0 147.0,33.0"
    assert [each.points for each in (*curves(columns(1.0)), *curves(columns(None)))] == ["", ""]


def test_the_time_left_goes_by_the_newest_epochs_and_is_told_of_what_runs() -> None:
    assert time_left(LINE, columns(1, 2, 3)) == "4 min"  # 7 epochs of 30 s
    assert time_left(RunLine("k", "t1", None, "completed", epochs_planned=10), columns(1, 2)) is None
    assert time_left(LINE, columns(1)) is None
    resumed = [BEGIN + timedelta(seconds=seconds) for seconds in (0, 30, 86430, 86460)]
    assert time_left(LINE, Columns([0, 1, 2, 3], [each.isoformat() for each in resumed], {})) == "4 min"
    assert time_left(LINE, Columns([0, 1], [BEGIN.isoformat(), None], {})) is None


@pytest.mark.parametrize(
    ("counted", "said"),
    [
        ({}, "3 of 10 epochs"),
        ({"step": 9}, "10 of 10 steps"),
        ({"step": 10}, "10 of 10 steps"),  # it counts from 1
        ({"step": 300, "epochs_planned": None}, "step 300"),
    ],
)
def test_how_far_a_run_is_counts_epochs_or_steps(counted: dict[str, int], said: str) -> None:
    assert f"<span>{said}</span>" in panel_html(RunNews("", replace(LINE, **counted)), "journal")


def test_what_a_run_is_called_is_no_markup() -> None:
    line = RunLine("k", "<b>t1</b>", None, "failed", trouble="<script>alert(1)</script>")
    facts = RunFacts(destinations=[DestinationLine("https://a.example", "arriving", 1, 2)])
    html = panel_html(RunNews("", line, facts), "journal")
    assert "<script>" not in html
    assert "&lt;b&gt;t1" in html
    assert "https://a.example: arriving, 2 on the way" in html


def test_without_a_run_it_says_where_it_looks() -> None:
    assert "No run yet in journal" in panel_html(None, "journal")
