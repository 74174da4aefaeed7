from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from uploader.live.logged_values import Logged, logged


class Tensor:
    """Like torch's: a number in it comes out by `item`, several do not."""

    def __init__(self, *numbers: float) -> None:
        self.numbers = numbers

    def item(self) -> float:
        if len(self.numbers) != 1:
            raise RuntimeError("a Tensor with several elements cannot be converted to Scalar")
        return self.numbers[0]

    def tolist(self) -> list[float]:
        return [*self.numbers]


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (1, 1),
        (0.5, 0.5),
        (True, 1),
        (np.float32(0.5), 0.5),
        (np.array([3]), 3),
        (Tensor(2.5), 2.5),
        (1 << 70, 2.0**70),
        (Decimal("1.5"), 1.5),
        (Fraction(1, 4), 0.25),
    ],
)
def test_every_kind_of_number_is_a_metric(value: Any, number: float) -> None:
    assert logged({"a": value}) == Logged({"a": number})


def test_numbers_that_are_not_finite_are_told_as_none_and_kept_as_text() -> None:
    told = logged({"a": float("nan"), "b": np.float64("inf"), "c": -float("inf")})
    assert told == Logged({"a": None, "b": None, "c": None}, {"a": "nan", "b": "inf", "c": "-inf"})


def test_what_is_no_number_is_no_metric() -> None:
    told = logged({"text": "x", "array": np.arange(3), "tensor": Tensor(1, 2), "none": None, "class": float})
    assert told == Logged(
        values={"text": "x", "array": [0, 1, 2], "tensor": [1, 2], "none": None, "class": "<class 'float'>"}
    )


def test_mappings_within_are_told_by_paths_and_any_key_has_a_name() -> None:
    assert logged({"val": {"acc": 1, 7: {"x": 2}}, 3: 4, "empty": {}}).metrics == {"val/acc": 1, "val/7/x": 2, "3": 4}


def test_a_mapping_within_itself_comes_to_an_end() -> None:
    endless: dict[str, Any] = {"a": 1}
    endless["b"] = endless
    assert logged(endless).metrics["a"] == 1


def test_what_is_logged_later_takes_the_place_of_what_has_its_name() -> None:
    first = logged({"a": float("nan"), "b": "text", "c": 1})
    assert first.merged(logged({"a": 2, "b": 3})) == Logged({"c": 1, "a": 2, "b": 3})
    assert first.merged(logged({"c": "gone"})).metrics == {"a": None}
