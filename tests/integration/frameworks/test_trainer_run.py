"""The run that the adapters of all frameworks share, without a framework."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

import uploader
from uploader.errors import SettingsError
from uploader.frameworks.trainer_run import TrainerRun
from uploader.reports.recorded_runs import RecordedRun


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainerRun:
    monkeypatch.setenv("UPLOADER_JOURNAL", str(tmp_path / "journal"))
    monkeypatch.setenv("UPLOADER_FALLBACK", str(tmp_path / "fallback"))
    monkeypatch.chdir(tmp_path)
    return TrainerRun({"project": "demo", "name": "t"})


def only_run() -> RecordedRun:
    (run,) = uploader.open().runs()
    return run


@pytest.mark.parametrize(("wrong", "error"), [({"nam": "x"}, TypeError), ({"folder": 5}, SettingsError)])
def test_an_option_that_cannot_be_used_is_told_at_once(wrong: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error, match=next(iter(wrong))):
        TrainerRun(wrong)


def test_the_result_is_kept_once_unless_more_is_trained(trained: TrainerRun, tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    for content in (b"first", None, b"second"):
        run = trained.open()
        run.log({"loss": 1})
        if content is not None:
            weights.write_bytes(content)
            run.log_checkpoint(weights, role="best")
        trained.end()
    finals = [each.size for each in only_run().checkpoints() if each.role == "final"]
    assert finals == [len("first"), len("second")]


def test_another_process_adds_to_what_was_logged_of_a_step(trained: TrainerRun) -> None:
    trained.begin_training().log({"loss": 1, "note": "text", "bad": float("nan")}, step=0)
    trained.end()
    elsewhere: TrainerRun = pickle.loads(pickle.dumps(trained))
    elsewhere.open().log({"test": 2}, step=0)
    elsewhere.end()
    table = only_run().metrics()
    assert (table["epoch"], table["loss"], table["test"], table["bad"]) == ([0], [1], [2], [None])


def test_a_training_that_is_left_has_failed(trained: TrainerRun) -> None:
    trained.begin_training().log({"loss": 1})
    trained.abandon()
    assert only_run().times().error == "the training has not come to its end"
    trained.begin_training()
    trained.end()
    assert (only_run().times().state, only_run().times().sessions) == ("finished", 2)


def test_another_training_is_another_run(trained: TrainerRun) -> None:
    trained.begin_anew()  # there was none
    for _ in range(2):
        trained.begin_training()
        trained.end()
        trained.begin_anew()
    assert len({run.run.save_dir for run in uploader.open().runs()}) == 2
