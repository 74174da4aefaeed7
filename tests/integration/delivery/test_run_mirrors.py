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
