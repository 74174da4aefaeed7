"""A script that changes its working folder while it trains, with a journal and a fallback folder named relatively."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.journals import rows

import journal
from uploader.live.recording_options import choose_options
from uploader.recording.journal_options import JournalOptions
from uploader.recording.recorder import Recorder


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A second working folder; the first is `tmp_path`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    return tmp_path / "elsewhere"


@pytest.mark.parametrize("is_named", [True, False])
def test_a_relative_journal_stays_where_it_was_when_the_training_began(
    is_named: bool, elsewhere: Path, tmp_path: Path, save_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UPLOADER_JOURNAL", "journal")
    options = JournalOptions(journal="journal" if is_named else None)
    recorder = Recorder.start(options, project=None, name="run", save_dir=save_dir, resume=False)
    recorder.event("one", {})
    monkeypatch.chdir(elsewhere)
    (save_dir / "best.pt").write_bytes(b"weights")
    recorder.checkpoint(save_dir / "best.pt", role="final", epoch=0, publish=True, is_best=True)
    assert recorder.wait_for_snapshots()
    recorder.event("two", {})
    recorder.finish("complete")
    kinds = [kind for (kind,) in rows(tmp_path / "journal", "SELECT kind FROM events")]
    assert kinds == ["one", "model_saved", "checkpoint", "two"]
    assert [path.parent for path in tmp_path.rglob("journal.db")] == [tmp_path / "journal"]


def test_a_relative_fallback_folder_stays_where_it_was_when_the_training_began(
    elsewhere: Path, tmp_path: Path, save_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UPLOADER_FALLBACK", "fallback")
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / "blobs").write_text("a file where a folder should be")
    options = JournalOptions(journal="journal")
    recorder = Recorder.start(options, project=None, name="run", save_dir=save_dir, resume=False)
    monkeypatch.chdir(elsewhere)
    recorder.event("one", {})
    recorder.finish("complete")
    assert len(list((tmp_path / "fallback").glob("*.jsonl"))) == 1


def test_what_the_environment_names_is_chosen_when_ours_is_attached(
    elsewhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UPLOADER_JOURNAL", "journal")
    options = choose_options(None, "full", (), None)
    monkeypatch.chdir(elsewhere)
    assert options.journal == str(tmp_path / "journal")


def test_a_journal_that_was_opened_by_a_relative_path_is_found_from_everywhere(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with journal.open("journal") as opened:
        monkeypatch.chdir(elsewhere)
        writer = opened.writer()
        assert writer.start_run(project=None, name="run", save_dir="/runs/run").name == "run"
        writer.close()
