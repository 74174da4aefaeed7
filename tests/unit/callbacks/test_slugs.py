from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uploader.callbacks.slugs import MAX_LENGTH, project_slug, run_slug, slugify


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("My Project 1", "my-project-1"),
        ("a_b.c", "abc"),
        ("  lots   of - space  ", "lots-of-space"),
        ("--edge--", "edge"),
        ("Größe", "gre"),
        ("実験", ""),
    ],
)
def test_a_slug_has_lower_case_digits_and_hyphens(text: str, slug: str) -> None:
    assert slugify(text) == slug


@given(st.text(alphabet=st.characters(exclude_categories=("Zs", "Zl", "Zp", "Cc")) | st.just(" "), max_size=200))
def test_a_slug_is_the_one_upstream_makes(text: str) -> None:
    from ultralytics.utils.callbacks import platform

    assert slugify(text) == platform.slugify(text)


@given(st.text(max_size=300))
def test_a_slug_is_short_and_stays_as_it_is(text: str) -> None:
    slug = slugify(text)
    assert len(slug) <= MAX_LENGTH
    assert slugify(slug) == slug.strip("-")


@pytest.mark.parametrize(
    ("project", "slug"),
    [
        (None, None),
        ("", None),
        ("実験", None),
        ("Bees 2", "bees-2"),
        ("Some_Owner/Bees 2", "Some_Owner/bees-2"),
        ("owner/bees/nests", "owner/bees-nests"),
        ("owner/", "owner"),
        (PurePosixPath("/data/runs"), "data-runs"),
        ("./runs", "runs"),
        (r"C:\data\runs", "c-data-runs"),
    ],
)
def test_a_project_keeps_its_owner(project: object, slug: str | None) -> None:
    assert project_slug(project) == slug


@pytest.mark.parametrize(("name", "slug"), [(None, "train"), ("", "train"), ("実験", "train"), ("Train 2", "train-2")])
def test_a_run_always_has_a_name(name: object, slug: str) -> None:
    assert run_slug(name) == slug
