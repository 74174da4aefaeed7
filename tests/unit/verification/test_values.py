from __future__ import annotations

from typing import Any

import pytest

from uploader.verification.values import difference, time_difference


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        (1, 1.0),
        (0.1, 0.1),
        ("0.010", 0.01),
        (3, "3"),
        ("True", True),
        (None, None),
        ({"a": None, "b": 1}, {"b": 1}),
        ({"b": 1}, {"a": None, "b": 1}),
        ([1, {"a": "x"}], [1.0, {"a": "x"}]),
        (("completed", "cancelled"), "cancelled"),
        ("", ""),
        ([], []),
    ],
)
def test_what_a_platform_keeps_in_its_own_way_is_the_same(sent: Any, shown: Any) -> None:
    assert difference(sent, shown) is None


@pytest.mark.parametrize(
    ("sent", "shown", "words"),
    [
        (1.0, 1.0000000000000002, "it is 1.0000000000000002 there, and 1.0 here"),
        (0, None, "it is missing there"),
        (None, 0, "it is 0 there, and null here"),
        (True, 1, "it is 1 there, and true here"),
        ("1", "1.0", "it is 1.0 there, and 1 here"),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, "a.b is 2 there, and 1 here"),
        ({"a": 1}, {}, "a is missing there"),
        ({}, {"a": 1}, "a is there, and was not sent"),
        ([1, 2], [1], "it has 1 entries there, and 2 here"),
        ({"a": [1, 2]}, {"a": [1, 3]}, "a[1] is 3 there, and 2 here"),
        (("completed",), "running", "it is running there, and completed here"),
        ([{"x": 1}], {"x": 1}, 'it is {"x": 1} there, and [{"x": 1}] here'),
        ("x" * 100, "y" * 100, "it has another text there"),
        ([0] * 100, 1, f"it is 1 there, and [{'0, ' * 19}0,… here"),
    ],
)
def test_a_difference_is_said_in_words(sent: Any, shown: Any, words: str) -> None:
    assert difference(sent, shown) == words


def test_further_members_may_be_let_pass() -> None:
    assert difference({"a": 1}, {"a": 1, "b": 2}, exact=False) is None
    assert difference({"a": 1}, {"a": 2, "b": 2}, exact=False) == "a is 2 there, and 1 here"


@pytest.mark.parametrize(
    ("here", "there"),
    [
        ("10:00:00.250000Z", "10:00:00.250Z"),
        ("10:00:00.250000Z", "10:00:01.250Z"),
        ("10:00:00Z", "12:00:00.5+02:00"),
        ("19:00:00Z", "18:00:02Z"),  # it was ahead when it arrived, so it is not believed
    ],
)
def test_a_time_that_was_believed_is_the_same_within_a_second(here: str, there: str) -> None:
    assert time_difference(f"2026-01-02T{here}", f"2026-01-02T{there}", "2026-01-02T18:00:00Z") is None


@pytest.mark.parametrize(
    ("here", "there"), [("10:00:00Z", "18:00:00Z"), ("10:00:00Z", "09:59:58Z"), ("19:00:00Z", "20:00:00Z")]
)
def test_another_time_is_said_with_both(here: str, there: str) -> None:
    words = time_difference(f"2026-01-02T{here}", f"2026-01-02T{there}", "2026-01-02T18:00:00Z")
    assert words == f"2026-01-02 {there[:-1]} UTC there, and 2026-01-02 {here[:-1]} UTC here"


@pytest.mark.parametrize("here", ["1970-01-01T00:10:00Z", "yesterday", "2026-01-02T10:00:00"])
def test_what_is_no_time_of_a_clock_that_was_set_is_not_compared(here: str) -> None:
    assert time_difference(here, "2026-01-02T18:00:00Z", "2026-01-02T18:00:00Z") is None
