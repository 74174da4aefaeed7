from __future__ import annotations

from pathlib import PurePosixPath
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uploader.slugs import MAX_LENGTH, project_slug, respelled, run_slug, slugify


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("My Project 1", "my-project-1"),
        ("a_b.c", "abc"),
        ("  lots   of - space  ", "lots-of-space"),
        ("a\tb\nc", "a\tb\nc"),
        ("--edge--", "edge"),
        ("Größe", "gre"),
        ("実験", ""),
    ],
)
def test_a_slug_has_lower_case_digits_and_hyphens(text: str, slug: str) -> None:
    assert slugify(text) == slug


@pytest.mark.upstream
@given(st.text(max_size=200))
def test_a_slug_is_the_one_upstream_makes(text: str) -> None:
    from ultralytics.utils.callbacks import platform

    assert slugify(text) == platform.slugify(text)


@given(st.text(max_size=300))
def test_a_slug_is_short_and_stays_as_it_is(text: str) -> None:
    slug = slugify(text)
    assert len(slug) <= MAX_LENGTH
    assert slugify(slug) == slug.strip("-").strip(" ")


@pytest.mark.parametrize(
    ("project", "slug"),
    [
        (None, None),
        ("", None),
        ("-", None),
        ("実験", "xn-rbt666l"),
        ("проект", "xn-e1akkdfp"),
        ("Bees 2", "bees-2"),
        ("My Team/Bees 2", "My Team/bees-2"),
        ("Some_Owner/Bees 2", "Some_Owner/bees-2"),
        ("owner/bees/nests", "owner/bees-nests"),
        ("owner/", "owner"),
        (PurePosixPath("/data/runs"), "runs"),
        ("/", None),
        ("./runs", "runs"),
        ("../x/runs", "x-runs"),
        (r"C:\data\runs", "cdataruns"),
        (r"My\Exp", "myexp"),
    ],
)
def test_a_project_keeps_its_owner(project: object, slug: str | None) -> None:
    assert project_slug(project) == slug


@pytest.mark.parametrize(
    ("name", "slug"), [(None, "train"), ("", "train"), ("実験", "xn-rbt666l"), ("Train 2", "train-2")]
)
def test_a_run_always_has_a_name(name: object, slug: str) -> None:
    assert run_slug(name) == slug


@pytest.mark.parametrize(
    ("project", "slug"),
    [
        ("/x/runs/detect/sweep/multitrain", "sweep"),
        ("/x/runs/detect/sweep/multitrain-3", "sweep"),
        ("/data/Sweep 1/multitrain2", "sweep-1"),
        ("/x/runs/detect/multitrain", "multitrain"),
        ("/multitrain", "multitrain"),
    ],
)
def test_a_sweep_is_in_the_project_that_was_named(project: str, slug: str) -> None:
    """Upstream gives each of its trainings the sweep's folder as project."""
    assert project_slug(project, sweeps=PurePosixPath("/x/runs/detect")) == slug


@pytest.mark.upstream
@given(st.sampled_from(["owner", "My Team", "a.b", "o_o"]), st.text("abcXYZ 019-_./\t\\", min_size=1, max_size=40))
def test_a_project_is_the_one_upstream_sends(owner: str, rest: str) -> None:
    from ultralytics.utils.callbacks import platform

    for project in (rest.replace("/", ""), f"{owner}/{rest}"):
        sent, _ = platform._get_project_name(SimpleNamespace(args=SimpleNamespace(project=project, name="t")))
        if sent.rpartition("/")[2]:  # an empty one is no project
            assert project_slug(project) == sent


@pytest.mark.parametrize(
    ("project", "name", "said"),
    [
        ("Bees", "Train", []),
        (None, "", []),
        ("My Team/bees", "t-1", []),
        ("/data/runs", "t", []),
        ("owner/実験", "t", ["project 'owner/実験' becomes 'owner/xn-rbt666l'"]),
        ("Überprojekt", "run_1", ["project 'Überprojekt' becomes 'berprojekt'", "name 'run_1' becomes 'run1'"]),
        ("/data/my_runs", "🚀 run — Ünïcödé", ["project '/data/my_runs' becomes 'myruns'", "becomes 'run-ncd'"]),
        ("..", "..", ["project '..' becomes none", "name '..' becomes 'train'"]),
        ("/x/detect/sweep/multitrain-3", None, []),
    ],
)
def test_what_became_of_a_name_is_said(project: str | None, name: str | None, said: list[str]) -> None:
    messages = list(respelled(project, name, sweeps=PurePosixPath("/x/detect")))
    assert len(messages) == len(said)
    assert all(message.endswith(end) for message, end in zip(messages, said, strict=True))
