"""Looking at a journal where nothing more can be written."""

from __future__ import annotations

from pathlib import Path

from support.disks import fill, small_disk
from support.recordings import recordings

from journal import read_only


def test_a_journal_on_a_full_disk_is_looked_at_in_a_copy(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "4m") as disk:
        with recordings(disk / "journal") as journals:
            training = journals.begin()
            training.started()
            training.epoch(0)
        fill(disk)
        view = read_only.read_journal(disk / "journal")
        assert view.path == disk / "journal"
        assert [(run.name, run.epochs) for run in view.runs] == [("train", 1)]
