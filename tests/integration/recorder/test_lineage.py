"""Which run a resumed training goes on with: moved, copied, linked, reused and shared folders."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from journal.checkpoints.blobs import file_stamp
from journal.checkpoints.salvage import RUN_FILE, stamped
from journal.locations import packs_journal
from uploader.recording.journal_options import JournalOptions
from uploader.recording.recorder import Recorder
from uploader.recording.resumption import find_origin
from uploader.run_folder.model_file import MODEL_FILE, MODEL_NOTE, read_model_file, write_model_file

Start = Callable[..., Recorder]


@pytest.fixture
def start(folder: Path, save_dir: Path) -> Iterator[Start]:
    """Start a session; by default in one journal and one folder."""
    begun: list[Recorder] = []

    def begin(
        journal: Path = folder, save_dir: Path = save_dir, checkpoint: Path | None = None, **known: Any
    ) -> Recorder:
        save_dir.mkdir(parents=True, exist_ok=True)
        options, resume = JournalOptions(str(journal), durability="process"), checkpoint is not None
        recorder = Recorder.start(
            options, project="demo", name="run", save_dir=save_dir, resume=resume, checkpoint=checkpoint, **known
        )
        told = {"platformModel": recorder.origin.model} if recorder.origin.model else {}
        recorder.event("training_started", {"trainArgs": {"save_dir": str(save_dir)}, "environment": told})
        begun.append(recorder)
        return recorder

    yield begin
    for recorder in begun:
        recorder.finish("exited")


def trained(recorder: Recorder, save_dir: Path, content: bytes = b"weights", **snapshot: Any) -> Path:
    """Save a checkpoint as a trainer does, journal the save, and end the session."""
    last = save_dir / "weights" / "last.pt"
    last.parent.mkdir(exist_ok=True)
    last.write_bytes(content)
    found = file_stamp(last)
    assert found is not None
    recorder.event("epoch_end", {"epoch": 0}, "0")
    recorder.event("model_saved", {"epoch": 0, "files": [{"role": "last", "path": str(last), **stamped(found)}]}, "0")
    if snapshot:
        recorder.checkpoint(last, role="last", epoch=0, is_best=True, **snapshot)
        recorder.wait_for_snapshots()
    recorder.finish("failed")
    return last


def lose_mark(save_dir: Path) -> None:
    (save_dir / RUN_FILE).unlink()


def test_a_run_is_found_beside_the_checkpoint_wherever_its_folder_went(
    start: Start, save_dir: Path, tmp_path: Path
) -> None:
    first = start()
    trained(first, save_dir)
    save_dir.rename(tmp_path / "input")
    second = start(tmp_path / "other journal", checkpoint=tmp_path / "input" / "weights" / "last.pt")
    assert (second.run_id, second.resumed) == (first.run_id, True)
    second.finish("failed")
    assert start(tmp_path / "third journal", checkpoint=save_dir / "weights" / "last.pt").run_id == first.run_id


def test_a_run_is_found_beside_a_checkpoint_that_was_taken_out_of_its_folder(start: Start, save_dir: Path) -> None:
    first = start()
    flat = trained(first, save_dir).rename(save_dir / "last.pt")
    assert start(save_dir=save_dir.with_name("new"), checkpoint=flat).run_id == first.run_id


def test_a_run_is_found_behind_a_link(start: Start, save_dir: Path, tmp_path: Path) -> None:
    first = start()
    last = trained(first, save_dir)
    link = tmp_path / "newest.pt"
    link.symlink_to(last)
    assert start(tmp_path / "other journal", save_dir.with_name("new"), link).run_id == first.run_id


@pytest.mark.parametrize(("copy", "snapshot"), [(shutil.copy2, {}), (shutil.copyfile, {"publish": True})])
def test_a_checkpoint_alone_is_known_by_what_was_noted_of_it_or_by_its_bytes(
    start: Start, save_dir: Path, tmp_path: Path, copy: Callable[..., Any], snapshot: dict[str, Any]
) -> None:
    first = start()
    copy(trained(first, save_dir, **snapshot), tmp_path / "aside.pt")
    assert start(save_dir=save_dir.with_name("new"), checkpoint=tmp_path / "aside.pt").run_id == first.run_id


def test_a_later_run_of_the_folder_is_not_taken_for_the_one_of_a_checkpoint(
    start: Start, save_dir: Path, tmp_path: Path
) -> None:
    aside = shutil.copy2(trained(start(tmp_path / "gone"), save_dir), tmp_path / "aside.pt")
    later = start()  # in the same folder
    later.finish("complete")
    recorder = start(checkpoint=aside)
    assert (recorder.run_id != later.run_id, recorder.resumed) == (True, False)


def test_a_checkpoint_taken_out_of_its_folder_is_of_the_folders_run(
    start: Start, save_dir: Path, tmp_path: Path
) -> None:
    first = start()
    aside = shutil.move(trained(first, save_dir, b"unknown to the journal"), tmp_path / "aside.pt")
    os.utime(aside)
    assert start(checkpoint=aside).run_id == first.run_id
    lose_mark(save_dir)
    assert start(checkpoint=aside).run_id == first.run_id


def test_a_folder_of_another_machine_is_another_folder(start: Start, folder: Path, save_dir: Path) -> None:
    first = start()
    last = trained(first, save_dir)
    with closing(sqlite3.connect(folder / "journal.db")) as database, database:  # the journal is shared by two nodes
        database.execute("UPDATE sessions SET host = 'node-7'")
    lose_mark(save_dir)
    last.write_bytes(b"of this node")
    assert not start(checkpoint=last).resumed


def test_a_finished_run_is_known_to_be_finished(start: Start, save_dir: Path, tmp_path: Path) -> None:
    first = start()
    last = trained(first, save_dir)
    second = start(checkpoint=last)
    second.event("training_complete", {})
    second.finish("complete")
    elsewhere = start(tmp_path / "other journal", checkpoint=last)
    elsewhere.finish("failed")  # refused by its trainer
    lose_mark(save_dir)
    known = [recorder.was_complete for recorder in (first, second, elsewhere, start(checkpoint=last))]
    assert known == [False, False, True, True]


def test_a_finished_run_that_went_on_is_not_finished(start: Start, save_dir: Path, tmp_path: Path) -> None:
    first = start()
    first.finish("complete")
    second = start(checkpoint=save_dir / "last.pt")
    second.reopen()
    second.finish("failed")
    third = start(tmp_path / "other journal", checkpoint=save_dir / "last.pt")
    assert (second.was_complete, third.was_complete) == (True, False)


# --- copies that go on


def test_the_second_of_two_copies_that_go_on_is_a_run_of_its_own(
    start: Start, save_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = start()
    last = trained(first, save_dir)
    copy = save_dir.with_name("variant")
    shutil.copytree(save_dir, copy)
    original = start(checkpoint=last)  # it trains still
    assert original.run_id == first.run_id
    original.event("epoch_end", {"epoch": 1}, "1")
    second = start(save_dir=copy, checkpoint=copy / "weights" / "last.pt")
    assert (second.run_id != first.run_id, second.resumed, second.origin.copy_of) == (True, False, first.run_id)
    assert second.origin.epochs == (("0", '{"epoch":0}'),)  # not what was trained since
    assert f"Run {first.run_id} has gone on in {save_dir} since this copy of it was made" in caplog.text
    second.finish("failed")
    assert start(save_dir=copy, checkpoint=copy / "weights" / "last.pt").run_id == second.run_id


def test_of_two_copies_that_begin_at_once_the_second_is_a_run_of_its_own(
    start: Start, save_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = start()
    last = trained(first, save_dir)
    copy = save_dir.with_name("copy")
    shutil.copytree(save_dir, copy)
    original: list[Recorder] = []

    def look(*place: Any, **how: Any) -> Any:
        came = find_origin(*place, **how)
        if not original:  # between this look and the session
            monkeypatch.setattr("uploader.recording.recorder.find_origin", find_origin)
            original.append(start(checkpoint=last))
        return came

    monkeypatch.setattr("uploader.recording.recorder.find_origin", look)
    second = start(save_dir=copy, checkpoint=copy / "weights" / "last.pt")
    assert (original[0].run_id, second.origin.copy_of) == (first.run_id, first.run_id)


def test_the_copy_that_goes_on_first_has_the_run(start: Start, save_dir: Path) -> None:
    first = start()
    last = trained(first, save_dir)
    copy = save_dir.with_name("copy")
    shutil.copytree(save_dir, copy)
    second = start(save_dir=copy, checkpoint=copy / "weights" / "last.pt")
    second.finish("failed")
    assert second.run_id == first.run_id
    assert start(checkpoint=last).origin.copy_of == first.run_id
    assert start(save_dir=copy, checkpoint=copy / "weights" / "last.pt").run_id == first.run_id


def test_a_copy_with_a_journal_of_its_own_is_noticed_where_the_other_folder_can_be_seen(
    start: Start, folder: Path, save_dir: Path, tmp_path: Path
) -> None:
    first = start()
    last = trained(first, save_dir)
    copy = save_dir.with_name("copy")
    shutil.copytree(save_dir, copy)
    shutil.copytree(folder, tmp_path / "other journal")
    start(checkpoint=last).finish("complete")
    second = start(tmp_path / "other journal", copy, copy / "weights" / "last.pt")
    assert second.origin.copy_of == first.run_id


def test_a_copy_that_trains_over_what_has_gone_on_is_a_run_of_its_own(start: Start, save_dir: Path) -> None:
    first = start()
    last = trained(first, save_dir)
    shutil.copytree(save_dir, save_dir.with_name("backup"))
    start(checkpoint=last).finish("complete")
    assert start(checkpoint=save_dir.with_name("backup") / "weights" / "last.pt").origin.copy_of == first.run_id


def test_a_copy_of_the_checkpoint_alone_is_a_run_of_its_own_after_the_run_went_on(
    start: Start, save_dir: Path, tmp_path: Path
) -> None:
    first = start()
    last = trained(first, save_dir)
    aside = shutil.copy2(last, tmp_path / "aside.pt")
    lose_mark(save_dir)
    assert start(checkpoint=last).run_id == first.run_id
    assert start(save_dir=tmp_path / "new", checkpoint=aside).origin.copy_of == first.run_id
    lose_mark(save_dir)
    assert start(checkpoint=last).run_id == first.run_id  # in the folder itself it goes on


def test_a_folder_that_was_brought_back_from_a_backup_goes_on(start: Start, save_dir: Path) -> None:
    first = start()
    last = trained(first, save_dir)
    backup = (save_dir / RUN_FILE).read_bytes()
    start(checkpoint=last).finish("failed")
    (save_dir / RUN_FILE).write_bytes(backup)
    assert start(checkpoint=last).run_id == first.run_id


@pytest.mark.parametrize(
    "edited",
    [
        {"generation": 10**30},
        {"generation": 1 << 62},
        {"session": "\ud800"},
        {"session": "another"},
        {"folder": "\0"},
        {"folder": "\ud800"},
        {"begunAt": "\ud800"},
        {"chunks": 10**30},
        {"chunks": 1e999},
    ],
    ids=str,
)
def test_a_run_file_that_nothing_can_take_is_none(start: Start, save_dir: Path, edited: dict[str, Any]) -> None:
    first = start()
    last = trained(first, save_dir)
    told = json.loads((save_dir / RUN_FILE).read_text("utf-8"))
    (save_dir / RUN_FILE).write_text(json.dumps({**told, **edited}), "utf-8")
    again = start(checkpoint=last)
    assert (again.run_id, again.session.generation, again.session.parent) == (first.run_id, 2, first.session.uuid)


def test_a_session_that_wrote_nothing_has_gone_on_with_nothing(start: Start, folder: Path, save_dir: Path) -> None:
    first = start()
    last = trained(first, save_dir)
    with closing(sqlite3.connect(folder / "journal.db")) as database, database:
        database.execute(
            "INSERT INTO sessions (run_id, pid, host, boot_id, started_at, heartbeat_at) VALUES (?, 1, '', '', '', '')",
            [first.run_id],
        )
    assert start(checkpoint=last).run_id == first.run_id


def test_a_session_that_lives_has_gone_on_before_it_writes(start: Start, folder: Path, save_dir: Path) -> None:
    trained(start(), save_dir)
    copy = save_dir.with_name("copy")
    shutil.copytree(save_dir, copy)
    original = Recorder.start(JournalOptions(str(folder)), project=None, name="run", save_dir=save_dir, resume=True)
    lose_mark(save_dir)
    assert start(save_dir=copy, checkpoint=copy / "weights" / "last.pt").origin.copy_of == original.run_id
    original.finish("failed")


def test_two_trainings_in_one_folder_are_noticed(
    start: Start, save_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = start()
    start(checkpoint=save_dir / "last.pt").finish("failed")
    assert f"Run {first.run_id} seems to be trained still" in caplog.text
    caplog.clear()
    first.finish("failed")
    start(checkpoint=save_dir / "last.pt")
    assert "still" not in caplog.text


def test_a_moved_folder_goes_on_with_a_wiped_journal(start: Start, save_dir: Path, tmp_path: Path) -> None:
    first = start()
    last = trained(first, save_dir)
    start(checkpoint=last).finish("failed")
    save_dir.rename(tmp_path / "moved")
    third = start(tmp_path / "new", tmp_path / "moved", tmp_path / "moved" / "weights" / "last.pt")
    assert (third.run_id, third.session.generation) == (first.run_id, 3)


# --- upstream's streaming


def streamed(save_dir: Path, model_id: str) -> Path:
    """Leave what a session that upstream streamed leaves; return its checkpoint."""
    (save_dir / "weights").mkdir(exist_ok=True)
    (save_dir / "weights" / "last.pt").write_bytes(b"weights")
    (save_dir / MODEL_FILE).write_text(model_id)
    return save_dir / "weights" / "last.pt"


def register(journal: Path, model_id: str) -> None:
    """Write into a journal what a drain writes that registered its runs."""
    with closing(sqlite3.connect(journal / "journal.db")) as database, database:
        database.execute("INSERT INTO destinations (platform, base_url) VALUES ('ultralytics', 'http://x')")
        database.execute(
            "INSERT INTO targets (run_id, destination_id, state, ids, planned_through, stage, last_upload_at) "
            "SELECT id, 1, 'registered', ?, 0, 1, '' FROM runs",
            [f'{{"modelId": "{model_id}"}}'],
        )


def test_a_training_goes_on_as_the_model_that_upstream_streamed_it_to(start: Start, save_dir: Path) -> None:
    last = streamed(save_dir, "m-1")
    first = start(checkpoint=last)
    assert (first.origin.model, first.resumed) == ("m-1", False)
    first.finish("failed")
    second = start(checkpoint=last)
    assert (second.run_id, second.origin.model) == (first.run_id, "m-1")


def test_the_model_is_found_beside_a_checkpoint_that_was_moved(start: Start, save_dir: Path, tmp_path: Path) -> None:
    streamed(save_dir, "m-1")
    save_dir.rename(tmp_path / "input")
    assert start(checkpoint=tmp_path / "input" / "weights" / "last.pt").origin.model == "m-1"


@pytest.mark.parametrize("noted", ["", "two words", "x" * 201, "\u00fc"])
def test_what_can_be_no_id_is_none(start: Start, save_dir: Path, noted: str) -> None:
    assert start(checkpoint=streamed(save_dir, noted)).origin.model is None


def test_a_run_that_upstream_went_on_with_is_left_for_its_model(start: Start, folder: Path, save_dir: Path) -> None:
    first = start()
    trained(first, save_dir)
    register(folder, "m-1")
    second = start(checkpoint=streamed(save_dir, "m-2"))
    assert (second.run_id != first.run_id, second.origin.model) == (True, "m-2")


def test_a_model_that_a_drain_of_a_copy_gave_the_run_is_not_upstreams(start: Start, save_dir: Path) -> None:
    """The journal knows no model: a pack of it was drained, or its mirror."""
    first = start()
    last = trained(first, save_dir)
    write_model_file(save_dir, first.run_id, "m-1")
    second = start(checkpoint=last)
    assert (second.run_id, second.origin.model, read_model_file(save_dir)) == (first.run_id, "m-1", "m-1")
    second.finish("failed")
    third = start(checkpoint=streamed(save_dir, "m-2"))  # and this is upstream's
    assert (third.run_id != first.run_id, third.origin.model) == (True, "m-2")


def test_what_a_drain_of_an_earlier_version_left_is_known_by_the_journal_of_packs(
    start: Start, folder: Path, save_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    first = start()
    trained(first, save_dir)
    shutil.copytree(folder, packs_journal())
    register(packs_journal(), "m-1")
    second = start(checkpoint=streamed(save_dir, "m-1"))
    assert (second.run_id, second.origin.model) == (first.run_id, "m-1")


@pytest.mark.parametrize("noted", ["", "[]", "{}", "\0", "[" * 100_000, '{"run": 1, "model": "m-1"}'])
def test_a_note_that_is_none_is_ignored(start: Start, save_dir: Path, noted: str) -> None:
    first = start()
    trained(first, save_dir)
    (save_dir / MODEL_NOTE).write_text(noted)
    assert start(checkpoint=streamed(save_dir, "m-1")).run_id != first.run_id


@pytest.mark.parametrize("is_delivered", [True, False])
def test_two_copies_of_what_upstream_streamed_are_two_models(
    start: Start, folder: Path, save_dir: Path, caplog: pytest.LogCaptureFixture, is_delivered: bool
) -> None:
    last = streamed(save_dir, "m-1")
    other = save_dir.with_name("variant")
    shutil.copytree(save_dir, other)
    first = start(checkpoint=last)
    first.finish("failed")
    if is_delivered:
        register(folder, "m-1")
    second = start(save_dir=other, checkpoint=other / "weights" / "last.pt")
    assert (first.origin.model, second.origin.model) == ("m-1", None)
    assert not (other / MODEL_FILE).exists()
    assert f"goes on as run {first.run_id}" in caplog.text


def test_a_new_training_in_a_used_folder_is_not_the_old_ones_model(start: Start, save_dir: Path) -> None:
    last = streamed(save_dir, "m-1")
    first = start()
    assert first.origin.model is None
    first.finish("failed")
    assert start(checkpoint=last).origin.model is None
    assert start(started="m-2").origin.model == "m-2"  # what upstream has registered a moment ago is of this one
