"""A folder of which a journal has a part: the same run, and only what is missing is added."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.recordings import Recordings, recordings
from support.run_folders import BEGAN, age, contents, recorded, results, row, run_folder

from journal.checkpoints.blobs import digest
from journal.clock import to_text
from uploader.recording.journal_options import JournalOptions
from uploader.recording.resumption import known_run

Imports = Any


@pytest.fixture
def journals(imports: Imports) -> Iterator[Recordings]:
    with recordings(imports.journal, durability="process") as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return run_folder(tmp_path / "run")


def test_what_a_killed_training_has_not_recorded_is_added(imports: Imports, journals: Recordings, folder: Path) -> None:
    training = recorded(journals, folder, epochs=2)
    training.end("abandoned")
    before = contents(folder)
    [told] = imports(folder)
    assert (told["how"], told["run"], told["steps"], told["checkpoints"]) == ("grown", training.run.id, 1, 1)
    losses = [epoch["metrics"]["train/box_loss"] for epoch in imports.events("epoch_end")]
    assert sorted(losses, reverse=True) == [1.0, 0.5, 0.333333]
    [(salvaged_at,)] = imports.rows("SELECT created_at FROM events WHERE kind = 'epoch_end' AND key = '2'")
    assert salvaged_at == to_text(BEGAN + timedelta(seconds=180))
    assert imports.events("checkpoint")[-1]["sha256"] == digest(folder / "weights" / "best.pt")
    assert len(imports.events("training_complete")) == 1
    there = imports.everything()
    assert [told["how"] for told in imports(folder)] == ["known"]
    assert imports.everything() == there
    assert imports.rows("SELECT DISTINCT run_id FROM events") == [(training.run.id,)]
    assert contents(folder) == before


def test_a_run_that_is_being_recorded_is_left_to_its_recording(
    imports: Imports, journals: Recordings, folder: Path
) -> None:
    training = recorded(journals, folder, epochs=1)
    there = imports.everything()
    assert [told["how"] for told in imports(folder)] == ["live"]
    assert imports.everything() == there
    training.end("abandoned")
    assert [(told["how"], told["steps"]) for told in imports(folder)] == [("grown", 2)]


def test_a_run_whose_journal_is_lost_comes_back_as_the_same(imports: Imports, folder: Path, tmp_path: Path) -> None:
    with recordings(tmp_path / "lost", durability="process") as lost:
        training = recorded(lost, folder, epochs=3)
        training.end("finished")
        for how in (["--dry-run"], []):
            [told] = imports(folder, *how)
            assert (told["how"], told["elsewhere"]) == ("elsewhere", str(tmp_path / "lost"))
    (tmp_path / "lost").rename(tmp_path / "gone")
    [told] = imports(folder)
    assert (told["how"], told["run"], told["steps"]) == ("new", training.run.id, 3)


def test_another_training_in_a_folder_that_was_recorded_is_a_run_of_its_own(
    imports: Imports, journals: Recordings, folder: Path
) -> None:
    training = recorded(journals, folder, epochs=3)
    training.end("finished")
    head = results(0)
    (folder / "results.csv").write_text(head + "".join(row(epoch, shift=0.7) for epoch in (1, 2, 3)))
    age(folder)
    [told] = imports(folder)
    assert told["how"] == "new"
    assert told["run"] != training.run.id
    assert told["steps"] == 3


def test_a_folder_without_its_run_file_is_recognised(imports: Imports, journals: Recordings, folder: Path) -> None:
    training = recorded(journals, folder, epochs=3)
    training.end("finished")
    (folder / "uploader_run.json").unlink()
    assert [told["run"] for told in imports(folder)] == [training.run.id]


def test_a_training_that_goes_on_continues_the_imported_run(imports: Imports, tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run", epochs=2, total=4)
    [told] = imports(folder)
    known = known_run(JournalOptions(str(imports.journal)), folder, folder / "weights" / "last.pt")
    assert known is not None
    assert known.run == told["run"]
