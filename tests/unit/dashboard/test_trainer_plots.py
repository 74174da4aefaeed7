"""The plots of a training's end as pictures."""

from __future__ import annotations

from uploader.dashboard.shown import Picture
from uploader.dashboard.trainer_plots import trainer_plots

CURVE = {"type": "pr_curve", "x": [0], "y": [[1]]}


def test_plots_get_the_names_of_the_classes_unless_they_tell_them():
    named = {**CURVE, "names": ["own"]}
    assert trainer_plots([CURVE, named], ["cat"]) == [
        Picture("pr_curve", plot={**CURVE, "names": ["cat"]}),
        Picture("pr_curve", plot=named),
    ]


def test_whatever_was_told_there_makes_no_error():
    assert trainer_plots("none") == trainer_plots(None, "cat") == trainer_plots([1, None]) == []
    assert trainer_plots([{"x": 1}], "cat") == [Picture("plot", plot={"x": 1})]
