from __future__ import annotations

import pytest

from uploader.server.http_errors import Invalid
from uploader.server.rules.messages import optional_integer, safe_filename, slugify


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("My Project 1", "my-project-1"),
        ("  a -- b  ", "a-b"),
        ("exp_2.1/é", "exp21"),
        ("-x-", "x"),
        ("✅", ""),
        ("a" * 200, "a" * 128),
    ],
)
def test_slugs(text: str, slug: str) -> None:
    assert slugify(text) == slug


@pytest.mark.parametrize(("value", "read"), [(3, 3), (3.0, 3), (None, None), (-1, -1), (2**63 - 1, 2**63 - 1)])
def test_integers(value: object, read: int | None) -> None:
    assert optional_integer({"n": value}, "n") == read


@pytest.mark.parametrize("value", ["3", 3.5, True, 2**63, -(2**63) - 1, float("inf"), [], {}])
def test_values_that_are_not_integers_are_refused(value: object) -> None:
    with pytest.raises(Invalid, match="'n'"):
        optional_integer({"n": value}, "n")


def test_an_integer_below_the_minimum_is_refused() -> None:
    with pytest.raises(Invalid):
        optional_integer({"n": -1}, "n", minimum=0)


def test_a_filename_keeps_its_end_when_it_is_long() -> None:
    assert safe_filename("x" * 500 + ".pt").endswith("xxx.pt")
    assert len(safe_filename("x" * 500 + ".pt")) == 128
