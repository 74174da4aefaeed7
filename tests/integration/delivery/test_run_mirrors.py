"""A drain never waits long for a mirror."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.journals import bench

from journal.mirror.mirror_state import MirrorState
from journal.reading.places import MIRROR_NOTE
from uploader.delivery.run_mirrors import RunMirrors


def test_a_mirror_that_hangs_is_waited_for_once_and_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    mirror = tmp_path / "drive"
    mirror.mkdir()
    os.mkfifo(mirror / MIRROR_NOTE)  # whoever reads it waits
    with bench(tmp_path / "journal") as made:
        made.register()
        MirrorState(str(mirror), made.run.id, confirms=True).write(made.journal.path)
        mirrors = RunMirrors(made.journal.path, patience=0.01)
        mirrors.tell({made.run.id})
        mirrors.tell({made.run.id})
        [said] = caplog.messages
        assert f"The mirror {mirror} was not told what the platform calls 1 run (it does not answer)" in said
        (mirror / MIRROR_NOTE).write_text("{}")  # it goes on
        mirrors.patience = 60.0
        mirrors.close()
    assert list(mirror.glob("runs/*/results/*.json"))


def test_a_mirror_that_hangs_when_a_drain_ends_is_left(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uploader.delivery.run_mirrors.LAST_PATIENCE_SECONDS", 0.01)
    mirror = tmp_path / "drive"
    mirror.mkdir()
    os.mkfifo(mirror / MIRROR_NOTE)
    with bench(tmp_path / "journal") as made:
        MirrorState(str(mirror), made.run.id, confirms=True).write(made.journal.path)
        RunMirrors(made.journal.path).tell_all({made.run.id})
    assert caplog.messages == [f"The mirror {mirror} was not told all that has arrived: it does not answer"]
    (mirror / MIRROR_NOTE).write_text("{}")  # its thread ends


def test_mirrors_of_other_runs_are_left_alone_when_a_drain_ends(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As those of the other runs in the journal of packs, whose drives need not be there."""
    with bench(tmp_path / "journal") as made:
        MirrorState(str(tmp_path / "gone"), "5e2f0000-0000-4000-8000-000000000000", confirms=True).write(
            made.journal.path
        )
        RunMirrors(made.journal.path).tell_all({made.run.id})
    assert caplog.messages == []
