from __future__ import annotations

from pathlib import Path

import pytest

from journal.records import Run
from uploader.drain.routing import choose_runs
from uploader.errors import SettingsError

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


def test_an_empty_beginning_fits_no_run_even_where_there_is_only_one() -> None:
    with pytest.raises(SettingsError, match="fits no run"):
        choose_runs(RUNS[:1], [""], HERE)
