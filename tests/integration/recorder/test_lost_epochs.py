"""A resumed session takes in the epochs that the trainer has recorded and the journal lacks."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.journals import rows
from support.results import epoch_end, metrics, write_results

from journal.checkpoints.salvage import RUN_FILE
from uploader.recording.journal_options import JournalOptions
from uploader.recording.recorder import Recorder
from uploader.run_folder.model_file import MODEL_FILE

Start = Callable[..., Recorder]
IN_ORDER = """
    SELECT e.key, e.payload, s.purpose FROM events e JOIN sessions s ON s.id = e.session_id
    WHERE e.kind = 'epoch_end' AND e.run_id = ? ORDER BY s.generation, e.seq
"""


@pytest.fixture
def start(folder: Path, save_dir: Path) -> Iterator[Start]:
    """Start a session, by default of a resumed training in one journal and one folder."""
    begun: list[Recorder] = []

    def begin(journal: Path = folder, save_dir: Path = save_dir, **options: Any) -> Recorder:
        where = JournalOptions(str(journal), durability="process")
        options = {"project": "demo", "name": "run", "resume": True, **options}
        begun.append(Recorder.start(where, save_dir=save_dir, **options))
        return begun[-1]

    yield begin
    for recorder in begun:
        recorder.finish("exited")


def killed(start: Start, save_dir: Path, *recorded: int, trained: int = 0, **options: Any) -> Recorder:
    """Record some epochs of a training, write the trainer's own record of its first ones, and go no further."""
    first = start(resume=False, **options)
    first.event("training_started", {}, "1")
    for epoch in recorded:
        first.event("epoch_end", epoch_end(epoch), str(epoch))
    write_results(save_dir, *range(trained))
    first.finish("exited")
    return first


def epochs(folder: Path, run: Recorder) -> list[tuple[str, str | None]]:
    """Return number and source of a run's epochs, in the order of the run."""
    found = rows(folder, IN_ORDER, run.run_id)
    return [(key, json.loads(payload).get("source")) for key, payload, _ in found]


def test_the_epoch_in_whose_save_a_training_was_killed_is_taken_in(
    start: Start, folder: Path, save_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    killed(start, save_dir, 0, 1, trained=3)
    again = start()
    assert dict(epochs(folder, again)) == {"0": None, "1": None, "2": "results.csv"}
    (taken,) = [json.loads(payload) for _, payload, purpose in rows(folder, IN_ORDER, again.run_id) if purpose]
    assert taken == {"epoch": 2, "metrics": pytest.approx(metrics(2), rel=1e-5), "source": "results.csv"}
    assert "The journal lacked epoch 3 of this training: taken in from results.csv." in caplog.text


def test_it_is_taken_in_once(start: Start, folder: Path, save_dir: Path) -> None:
    killed(start, save_dir, 0, trained=2)
    for _ in range(3):
        again = start()
        again.finish("exited")
    assert len(epochs(folder, again)) == 2


def test_epochs_of_a_lost_journal_are_taken_in(start: Start, folder: Path, save_dir: Path) -> None:
    first = killed(start, save_dir, 0, 1, trained=3)
    shutil.rmtree(folder)
    again = start()
    assert again.run_id == first.run_id
    assert epochs(folder, again) == [(str(number), "results.csv") for number in range(3)]


def test_epochs_that_were_trained_again_take_the_place_of_those_before(
    start: Start, folder: Path, save_dir: Path
) -> None:
    killed(start, save_dir, 0, 1, trained=2)
    second = start()
    write_results(save_dir, 1, trial=1)
    second.finish("exited")
    last = start()
    number, payload, _ = rows(folder, IN_ORDER, last.run_id)[-1]
    assert (number, json.loads(payload)["metrics"]) == ("1", pytest.approx(metrics(1, trial=1), rel=1e-5))


def test_the_trainings_own_event_takes_the_place_of_what_was_taken_in(
    start: Start, folder: Path, save_dir: Path
) -> None:
    killed(start, save_dir, 0, trained=2)
    again = start()
    again.event("epoch_end", epoch_end(1), "1")
    assert epochs(folder, again) == [("1", "results.csv"), ("0", None), ("1", None)]


def test_a_finished_run_is_completed_only_once_it_continues(start: Start, folder: Path, save_dir: Path) -> None:
    first = start(resume=False)
    first.event("epoch_end", epoch_end(0), "0")
    first.finish("complete")
    write_results(save_dir, 0, 1)
    again = start()
    assert len(epochs(folder, again)) == 1
    again.reopen()
    assert len(epochs(folder, again)) == 2


def test_the_record_of_an_earlier_training_in_the_folder_is_not_taken(
    start: Start, folder: Path, save_dir: Path
) -> None:
    write_results(save_dir, 0, 1)
    os.utime(save_dir / "results.csv", (0, 1_000_000_000))
    start(resume=False).finish("exited")  # killed before its trainer removed the file
    assert epochs(folder, start()) == []


def test_the_record_of_a_training_that_began_while_the_clock_was_ahead_is_taken(
    start: Start, folder: Path, save_dir: Path
) -> None:
    """Its file is older than the run, and says of the first epoch what the journal says."""
    killed(start, save_dir, 0, trained=3)
    os.utime(save_dir / "results.csv", (0, 1_000_000_000))
    assert dict(epochs(folder, start())) == {"0": None, "1": "results.csv", "2": "results.csv"}


def test_a_new_training_takes_nothing(start: Start, folder: Path, save_dir: Path) -> None:
    write_results(save_dir, 0, 1)
    assert epochs(folder, start(resume=False)) == []


def test_a_training_that_nobody_recorded_is_recorded_from_its_first_epoch(
    start: Start, folder: Path, save_dir: Path
) -> None:
    write_results(save_dir, 0, 1)
    assert [number for number, _ in epochs(folder, start(checkpoint=save_dir / "weights" / "last.pt"))] == ["0", "1"]


def test_what_upstream_has_streamed_is_not_sent_again(start: Start, folder: Path, save_dir: Path) -> None:
    write_results(save_dir, 0, 1)
    (save_dir / MODEL_FILE).write_text("m-1")
    assert epochs(folder, start()) == []


def test_a_copy_begins_with_the_epochs_of_its_original_once(start: Start, folder: Path, save_dir: Path) -> None:
    killed(start, save_dir, 0, 1, trained=3)
    copy = save_dir.with_name("copy")
    shutil.copytree(save_dir, copy)
    start().event("epoch_end", epoch_end(3), "3")  # the original has gone on
    second = start(save_dir=copy)
    assert [number for number, _ in second.origin.epochs] == ["0", "1", "2"]
    assert epochs(folder, second) == []


def test_a_copy_without_its_originals_journal_begins_with_the_trainers_epochs(
    start: Start, folder: Path, save_dir: Path, tmp_path: Path
) -> None:
    killed(start, save_dir, 0, 1, trained=2)
    copy = save_dir.with_name("copy")
    shutil.copytree(save_dir, copy)
    original = start()
    second = start(tmp_path / "other", save_dir=copy)
    assert second.run_id != original.run_id
    assert len(epochs(tmp_path / "other", second)) == 2


def test_a_record_is_found_in_the_folder_that_the_run_was_found_in(
    start: Start, folder: Path, save_dir: Path, tmp_path: Path
) -> None:
    killed(start, save_dir, 0, trained=2)
    moved = save_dir.rename(tmp_path / "moved")
    save_dir.mkdir()
    again = start(checkpoint=moved / "weights" / "last.pt")
    assert dict(epochs(folder, again)) == {"0": None, "1": "results.csv"}


@pytest.mark.parametrize("is_marked", [True, False])
def test_a_record_is_found_in_the_folder_though_the_checkpoint_was_taken_out_of_it(
    start: Start, folder: Path, save_dir: Path, tmp_path: Path, is_marked: bool
) -> None:
    killed(start, save_dir, 0, trained=2)
    if not is_marked:
        (save_dir / RUN_FILE).unlink()
    (tmp_path / "aside.pt").write_bytes(b"weights")
    again = start(checkpoint=tmp_path / "aside.pt")
    assert dict(epochs(folder, again)) == {"0": None, "1": "results.csv"}


def test_two_copies_of_a_journal_take_in_the_same(start: Start, folder: Path, save_dir: Path, tmp_path: Path) -> None:
    killed(start, save_dir, 0, trained=2)
    shutil.copytree(folder, tmp_path / "copy")
    query = "SELECT s.uuid, e.seq, e.payload FROM events e JOIN sessions s ON s.id = session_id WHERE s.purpose NOTNULL"
    again = start()
    (save_dir / RUN_FILE).unlink()
    start(tmp_path / "copy", checkpoint=None)
    assert rows(folder, query) == rows(tmp_path / "copy", query) != []
    assert len(epochs(folder, again)) == 2


def test_a_record_or_a_journal_that_cannot_be_used_stops_no_training(
    start: Start, folder: Path, save_dir: Path, tmp_path: Path, fallbacks: Path
) -> None:
    killed(start, save_dir, 0, trained=2)
    (tmp_path / "file").touch()
    assert start(tmp_path / "file" / "journal").resumed
    (save_dir / "results.csv").unlink()
    (save_dir / "results.csv").mkdir()
    assert start().resumed
