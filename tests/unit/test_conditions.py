"""What `wait --until` takes, and how it says that it does not."""

from __future__ import annotations

import pytest

from uploader.errors import SettingsError
from uploader.reports.conditions import Comparison, parse_condition


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("delivered", "delivered"),
        (" Verified ", "verified"),
        ("metrics/mAP50(B)>=0.8", Comparison("metrics/mAP50(B)", ">=", 0.8)),
        (" val/loss < 1e-3 ", Comparison("val/loss", "<", 0.001)),
        ("a b > -2", Comparison("a b", ">", -2.0)),
        ("x<=.5", Comparison("x", "<=", 0.5)),
    ],
)
def test_a_condition_is_a_word_or_a_comparison(text: str, condition: object) -> None:
    assert parse_condition(text) == condition


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "'' is nothing that can be waited for; it is delivered, verified, or a comparison such as"),
        ("done", "'done' is nothing that can be waited for"),
        ("metrics/mAP50(B)", "is nothing that can be waited for"),
        ("x==1", "compares by ==; write one of >=, <=, >, <"),
        ("x=1", "compares by =; write"),
        ("x=>1", "compares by =>; write"),
        ("x!=1", "compares by !=; write"),
        (">=1", "names no metric before >="),
        ("x>=", "compares with 'nothing', which is no number"),
        ("x>=0,8", "compares with '0,8', which is no number"),
        ("x>=80%", "compares with '80%', which is no number"),
        ("x>=nan", "compares with 'nan', which is no number"),
        ("x<inf", "compares with 'inf', which is no number"),
    ],
)
def test_anything_else_is_refused_with_what_is_wrong_with_it(text: str, why: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_condition(text)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("sign", "values"),
    [
        (">=", [False, True, True]),
        (">", [False, False, True]),
        ("<=", [True, True, False]),
        ("<", [True, False, False]),
    ],
)
def test_a_comparison_holds_as_its_sign_says(sign: str, values: list[bool]) -> None:
    assert [Comparison("x", sign, 1.0).holds(value) for value in (0, 1, 2.0)] == values
    assert not any(Comparison("x", sign, 1.0).holds(value) for value in (None, "1", float("nan"), True))
