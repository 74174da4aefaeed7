from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from uploader.callbacks.plots import CURVE_POINTS, collect_plots, resample, without_large

X = np.linspace(0, 1, 1000)


def owner(*plots: dict[str, Any] | None, **attributes: Any) -> SimpleNamespace:
    return SimpleNamespace(plots={index: {"data": data} for index, data in enumerate(plots)}, **attributes)


def validator(*plots: dict[str, Any] | None, classes: tuple[int, ...] = (0, 1)) -> SimpleNamespace:
    metrics = SimpleNamespace(ap_class_index=np.array(classes))
    return owner(*plots, metrics=metrics, names={0: "bee", 1: "wasp"})


@pytest.mark.upstream
@pytest.mark.parametrize(
    "plot",
    [
        {"type": "f1_curve", "x": X.tolist(), "y": [np.sin(X).tolist(), (X**2).tolist()]},
        {"type": "curve", "x": X.tolist(), "y": np.cos(X).tolist()},
        {"type": "pr_curve", "x": X.tolist(), "y": [X.tolist()], "ap": [[0.25, 0.5]]},
        {"type": "short", "x": [0.0, 1.0], "y": [[1.0, 0.0]]},
        {"type": "confusion_matrix", "matrix": [[1.0, 2.0], [3.0, 4.0]]},
        {"type": "empty", "x": [], "y": []},
        {"type": "none", "x": None, "y": [[1.0, 0.0]]},
        {"type": "nones", "x": X.tolist(), "y": None},
    ],
)
def test_curves_are_thinned_as_upstream_does(plot: dict[str, Any]) -> None:
    from ultralytics.utils.callbacks import platform

    assert resample(plot) == platform._interp_plot(plot)


def test_a_thinned_curve_follows_the_original() -> None:
    thinned = resample({"type": "f1_curve", "x": X.tolist(), "y": [np.sin(X).tolist()]})
    assert len(thinned["x"]) == len(thinned["y"][0]) == CURVE_POINTS
    assert np.allclose(thinned["y"][0], np.sin(thinned["x"]), atol=1e-6)


def test_the_trainers_plot_goes_before_the_validators_and_the_newest_before_the_older() -> None:
    trainer = owner(
        {"type": "a", "matrix": 1},
        None,
        {"no": "type"},
        validator=validator(
            {"type": "a", "matrix": 2},
            {"type": "b", "matrix": 3},
            {"type": "c", "matrix": 4},
            {"type": "b", "matrix": 5},
        ),
    )
    assert [(plot["type"], plot["matrix"]) for plot in collect_plots(trainer)] == [("a", 1), ("b", 5), ("c", 4)]


@pytest.mark.parametrize(("classes", "extra"), [((0, 1), {}), ((1,), {"classes": [1]})])
def test_classes_are_named_where_curves_cover_only_some(classes: tuple[int, ...], extra: dict[str, Any]) -> None:
    curve = {"type": "pr_curve", "x": [0, 1], "y": [[1, 0]]}
    trainer = owner(validator=validator(curve, {"type": "f1_curve"}, classes=classes))
    assert collect_plots(trainer) == [{"type": "f1_curve"}, {**curve, **extra}]


def test_a_plot_that_cannot_be_read_takes_no_other_with_it() -> None:
    odd = [{"type": "text", "x": "many" * 100, "y": [[1.0]]}, {"type": "number", "x": 3, "y": 4}, ["no mapping"], "x"]
    good = {"type": "confusion_matrix", "matrix": [[1.0]]}
    assert collect_plots(owner(*odd, good)) == [good]  # type: ignore[arg-type]


@pytest.mark.parametrize("trainer", [SimpleNamespace(), SimpleNamespace(plots=None, validator=None)])
def test_a_training_without_plots_has_none(trainer: SimpleNamespace) -> None:
    assert collect_plots(trainer) == []


def test_a_plot_that_is_too_large_is_left_out() -> None:
    large = {"type": "confusion_matrix", "matrix": [[0.0] * 2_000] * 1_001}
    array = {"type": "values", "x": np.zeros((1_001, 2_000))}
    small = {"type": "pr_curve", "x": [0.5] * 101, "y": [[0.5] * 101] * 1_200, "names": {"0": "bee"}}
    kept, losses = without_large([large, small, array])
    assert kept == [small]
    assert [(loss.what, loss.bytes) for loss in losses] == [
        ("plots (confusion_matrix)", 8 * 2_002_001),
        ("plots (values)", 8 * 2_002_001),
    ]
