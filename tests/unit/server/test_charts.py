from __future__ import annotations

from typing import Any

from uploader.server.pages.charts import charts, series
from uploader.server.storage.store_records import Epoch


def epochs(*metrics: dict[str, Any]) -> list[Epoch]:
    return [Epoch(number, {"metrics": each}, "") for number, each in enumerate(metrics)]


def points(figure: Any) -> list[tuple[float, float]]:
    pairs = figure.find("svg/polyline").get("points").split()
    return [tuple(float(part) for part in pair.split(",")) for pair in pairs]


def test_values_that_are_not_finite_are_left_out() -> None:
    read = epochs({"a": 1}, {"a": None}, {"a": "x"}, {"a": float("nan")}, {"a": 2.5})
    assert series(read) == {"a": [(0, 1.0), (4, 2.5)]}


def test_epochs_without_metrics_are_skipped() -> None:
    assert series([Epoch(0, {}, ""), Epoch(1, {"metrics": None}, "")]) == {}


def test_training_and_validation_loss_share_a_figure() -> None:
    figures = charts(epochs({"train/box_loss": 1, "val/box_loss": 2, "metrics/mAP50(B)": 0.1, "lr": 0.01}))
    assert [each.findtext("figcaption/b") for each in figures] == ["box_loss", "metrics/mAP50(B)", "lr"]
    assert len(figures[0].findall("svg/polyline")) == 2


def test_a_curve_goes_from_left_to_right_and_higher_values_are_higher() -> None:
    (figure,) = charts(epochs({"a": 1.0}, {"a": 3.0}, {"a": 2.0}))
    (x0, y0), (x1, y1), (x2, y2) = points(figure)
    assert x0 < x1 < x2
    assert y1 < y2 < y0  # y grows downwards


def test_flat_single_and_huge_curves_stay_inside_the_frame() -> None:
    for metrics in ([{"a": 5.0}], [{"a": 5.0}, {"a": 5.0}], [{"a": -1.7e308}, {"a": 1.7e308}]):
        (figure,) = charts(epochs(*metrics))
        assert all(0 <= x <= 360 and 0 <= y <= 160 for x, y in points(figure))


def test_its_ends_are_epochs_as_people_count_them() -> None:
    (figure,) = charts(epochs({"a": 1.0}, {"a": 3.0}, {"a": 2.0}))
    assert [each.text for each in figure.findall("svg/text")][2:] == ["1", "3"]
