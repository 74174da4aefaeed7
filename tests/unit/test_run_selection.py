from __future__ import annotations

from pathlib import Path

import pytest

from journal.records import Run
from uploader.errors import SettingsError
from uploader.run_selection import choose_runs

HERE = Path("journal")
RUNS = [Run(name, None, "train", "/", "") for name in ("aaaa-1", "aabb-2", "cccc-3")]


def test_no_choice_is_all_runs() -> None:
    assert choose_runs(RUNS, [], HERE) is None


def test_runs_are_chosen_by_the_beginning_of_their_ids() -> None:
    assert choose_runs(RUNS, ["c", "aaaa-1"], HERE) == ["cccc-3", "aaaa-1"]


@pytest.mark.parametrize(("prefix", "reason"), [("x", "fits no run"), ("aa", "fits 2 runs")])
def test_what_fits_no_run_or_several_is_refused(prefix: str, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        choose_runs(RUNS, [prefix], HERE)


NAMED = [
    Run(name, project, run, "/", "")
    for name, project, run in (
        ("aaaa-1", "shop", "train"),
        ("bbbb-2", "shop", "train-2"),
        ("cccc-3", None, "night"),
        ("dddd-4", "port", "night"),
    )
]


@pytest.mark.parametrize(
    ("word", "id"),
    [("train", "aaaa-1"), ("train-2", "bbbb-2"), ("shop/train", "aaaa-1"), ("port/", "dddd-4"), ("ccc", "cccc-3")],
)
def test_runs_are_chosen_by_name(word: str, id: str) -> None:
    assert choose_runs(NAMED, [word], HERE) == [id]


@pytest.mark.parametrize("word", ["night", "shop"])
def test_several_of_a_name_are_listed(word: str) -> None:
    with pytest.raises(SettingsError, match=r"fits 2 runs: .*-\d .*-\d .*beginning of an id"):
        choose_runs(NAMED, [word], HERE)


def test_an_empty_beginning_fits_no_run_even_where_there_is_only_one() -> None:
    with pytest.raises(SettingsError, match="fits no run"):
        choose_runs(RUNS[:1], [""], HERE)
