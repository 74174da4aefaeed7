"""A training says once when its journal is where it will vanish, and records all the same."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from support.disks import make_read_only, small_disk
from support.journals import rows
from support.passthrough import network_mount

from journal.mirror.mirror_addresses import open_store
from uploader.recording import place_warnings
from uploader.recording.journal_options import JournalOptions
from uploader.recording.recorder import Recorder


@pytest.fixture(autouse=True)
def nothing_said_yet() -> None:
    place_warnings._warn_once.cache_clear()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home that is not in the temporary folder."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def train(save_dir: Path, folder: Path | None = None, mirror: Path | None = None) -> None:
    options = JournalOptions(journal=str(folder) if folder else None, mirror=str(mirror) if mirror else None)
    recorder = Recorder.start(options, project=None, name="run", save_dir=save_dir, resume=False)
    recorder.event("epoch_end", {"epoch": 0}, "0")
    (save_dir / "best.pt").write_bytes(b"weights")
    recorder.checkpoint(save_dir / "best.pt", role="final", epoch=0, publish=True, is_best=True)
    recorder.finish("complete")


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [entry.getMessage() for entry in caplog.records if entry.levelno >= logging.WARNING]


def test_a_session_that_takes_the_journal_with_it_is_said_once(
    home: Path, save_dir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release-colab")
    for _ in range(2):
        train(save_dir)
    (warning,) = said(caplog)
    assert "vanishes at the end of the session" in warning
    assert 'mount Drive, and use attach(model, mirror="/content/drive/MyDrive/uploader-mirror")' in warning


def test_a_mirror_on_a_drive_is_an_answer_and_is_only_handed_over(
    home: Path, save_dir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release-colab")
    with network_mount(home, "drive") as drive:
        train(save_dir, mirror=drive / "mirror")
        assert not open_store(str(drive / "mirror")).confirms
    assert said(caplog) == []


def test_a_drain_beside_the_training_is_an_answer(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release-colab")
    for drains in (True, False):
        place_warnings.warn_of_places(home / "journal", JournalOptions(drain=drains))
        assert len(said(caplog)) == (0 if drains else 1)


def test_naming_a_folder_changes_nothing_where_all_of_them_vanish(
    home: Path, folder: Path, save_dir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", "Interactive")
    train(save_dir, folder)
    (warning,) = said(caplog)
    assert "save a version" in warning


def test_a_journal_on_a_drive_is_warned_of_wherever_it_is(
    tmp_path: Path, save_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with network_mount(tmp_path, "drive") as drive:
        train(save_dir, drive / "journal")
    (warning,) = said(caplog)
    assert "is no place for a database (Google Drive" in warning


def test_the_folder_of_a_job_is_said_to_go_with_it(
    tmp_path: Path, save_dir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    with small_disk(tmp_path / "of the job", size="64m") as scratch:
        monkeypatch.setenv("TMPDIR", str(scratch))
        train(save_dir, scratch / "journal")
    (warning,) = said(caplog)
    assert "the folder of TMPDIR, which is deleted at the end of the job" in warning


def test_a_home_that_cannot_be_written_loses_no_checkpoint(
    tmp_path: Path, save_dir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with small_disk(tmp_path / "home") as home:
        make_read_only(home)
        monkeypatch.setenv("HOME", str(home))
        train(save_dir)
    (warning,) = said(caplog)
    assert f"{home} cannot be written" not in warning
    assert "cannot be written" in warning
    (database,) = tmp_path.glob("offline-uploader-*/journal/journal.db")
    assert rows(database.parent, "SELECT role, bytes_are FROM checkpoints") == [("final", "present")]


def test_a_folder_that_a_person_named_is_their_choice(
    folder: Path, save_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train(save_dir, folder)  # in the temporary folder
    assert said(caplog) == []
