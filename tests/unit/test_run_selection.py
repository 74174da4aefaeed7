from __future__ import annotations

from pathlib import Path

import pytest

from journal.checkpoints.salvage import RUN_FILE
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
    [("train", "aaaa-1"), ("train-2", "bbbb-2"), ("shop/train", "aaaa-1"), ("port/night", "dddd-4"), ("ccc", "cccc-3")],
)
def test_runs_are_chosen_by_name(word: str, id: str) -> None:
    assert choose_runs(NAMED, [word], HERE) == [id]


def test_a_run_is_chosen_by_its_name_as_it_was_typed() -> None:
    runs = [*NAMED, Run("eeee-5", "my-shop", "sameslow", "/", "")]
    assert [choose_runs(runs, [word], HERE) for word in ("same_slow", "My Shop/Same_Slow")] == [["eeee-5"]] * 2
    with pytest.raises(SettingsError, match="fits no run"):
        choose_runs(runs, ["port/same_slow"], HERE)
    with pytest.raises(SettingsError, match="fits no run"):
        choose_runs(runs, ["___"], HERE)


def test_several_of_a_name_are_listed() -> None:
    with pytest.raises(SettingsError, match=r"fits 2 runs: .*-\d .*-\d .*beginning of an id"):
        choose_runs(NAMED, ["night"], HERE)


@pytest.mark.parametrize(
    ("word", "meant"), [("nigh", "night or port/night"), ("port/", "port/night"), ("train-", "shop/train-2")]
)
def test_the_beginning_of_a_name_is_no_name_but_reminds_of_it(word: str, meant: str) -> None:
    with pytest.raises(SettingsError, match=rf"fits no run; did you mean {meant}\?"):
        choose_runs(NAMED, [word], HERE)


def test_an_empty_beginning_fits_no_run_even_where_there_is_only_one() -> None:
    with pytest.raises(SettingsError, match="fits no run"):
        choose_runs(RUNS[:1], [""], HERE)


WRITTEN = [
    Run("aaaa-1", None, "first", "/runs/first", "2026-01-02"),
    Run("bbbb-2", None, "newest", "/runs/again", "2026-01-03"),
    Run("cccc-3", None, "older", "/runs/again", "2026-01-01"),
]


def test_latest_is_the_run_that_began_last_unless_one_is_called_so() -> None:
    called = Run("dddd-4", None, "latest", "/", "2026-01-01")
    assert choose_runs(WRITTEN, ["latest"], HERE) == ["bbbb-2"]
    assert choose_runs([*WRITTEN, called], ["latest"], HERE) == ["dddd-4"]
    with pytest.raises(SettingsError, match="fits no run"):
        choose_runs([], ["latest"], HERE)


def test_a_run_is_chosen_by_the_folder_that_it_was_written_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    monkeypatch.setenv("HOME", "/runs")
    assert [choose_runs(WRITTEN, [word], HERE) for word in ("/runs/first", "runs/first/", "~/first")] == [
        ["aaaa-1"]
    ] * 3
    with pytest.raises(SettingsError, match="fits 2 runs"):
        choose_runs(WRITTEN, ["/runs/again"], HERE)


@pytest.mark.parametrize("word", ["x" * 5000, "a\0b", "~nobody/at/all", "\udcff", "/"])
def test_what_is_no_path_fits_no_run(word: str) -> None:
    with pytest.raises(SettingsError, match="fits no run"):
        choose_runs(WRITTEN, [word], HERE)


def test_a_folder_that_was_moved_says_itself_which_run_it_is_of(tmp_path: Path) -> None:
    moved = Run("0b6d2c5e-8a55-4c57-9f0a-1a7d0c9b7f10", None, "first", "/gone", "")
    (tmp_path / RUN_FILE).write_text(f'{{"run": "{moved.id}"}}')
    assert choose_runs([*WRITTEN, moved], [str(tmp_path)], HERE) == [moved.id]
    assert choose_runs([moved, Run("eeee-5", None, "other", str(tmp_path), "")], [str(tmp_path)], HERE) == [moved.id]
