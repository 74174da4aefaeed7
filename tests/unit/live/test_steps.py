from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from uploader.live.logged_values import logged
from uploader.live.steps import KEPT, Steps, step_number


def test_steps_are_counted_on_from_the_last_one() -> None:
    steps = Steps()
    numbers = [steps.take(logged({"a": 1}), number).number for number in (None, None, 7, None, 3, None)]
    assert numbers == [0, 1, 7, 8, 3, 9]
    assert Steps(5).take(logged({}), None).number == 5


def test_a_step_that_is_logged_again_has_everything_together() -> None:
    steps = Steps()
    steps.take(logged({"a": 1, "b": 1}), 3)
    steps.take(logged({"a": 0}), 4)
    again = steps.take(logged({"b": 2, "c": 3}), 3)
    assert (again.number, again.revision, again.logged.metrics) == (3, 2, {"a": 1, "b": 2, "c": 3})


def test_old_steps_are_not_kept_for_ever() -> None:
    steps = Steps()
    for number in range(KEPT + 1):
        steps.take(logged({"a": number}), number)
    assert steps.take(logged({"b": 1}), 0).logged.metrics == {"b": 1}
    assert steps.take(logged({"b": 1}), KEPT).logged.metrics == {"a": KEPT, "b": 1}


@pytest.mark.parametrize(("step", "number"), [(None, None), (0, 0), (3.0, 3), (np.int64(4), 4), (np.array(5), 5)])
def test_a_step_may_be_counted_by_anything(step: Any, number: int | None) -> None:
    assert step_number(step) == number


@pytest.mark.parametrize("step", [-1, 1.5, True, "3", float("nan"), float("inf"), [1], 1 << 60])
def test_what_is_no_step_is_refused(step: Any) -> None:
    with pytest.raises(ValueError, match="a step is a whole number"):
        step_number(step)
