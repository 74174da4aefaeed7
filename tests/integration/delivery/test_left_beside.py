"""What a training left beside the journal, and a drain cannot take in: it does not say that all has arrived."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from support.recordings import Recordings, Training
from support.scripted_server import ScriptedServer

from journal.checkpoints.blobs import file_stamp
from journal.checkpoints.salvage import stamped

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reading such a file fails with EIO on Linux")
UNREADABLE = Path("/proc/self/mem")
"""Its first page is none: EIO, for root too."""


@pytest.fixture
def ended(journals: Recordings) -> Training:
    """Record a training that is over."""
    training = journals.begin()
    training.started()
    training.complete()
    training.end()
    return training


def test_a_fallback_file_that_cannot_be_read_is_work_that_remains(
    journals: Recordings, ended: Training, server: ScriptedServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "fallback" / "events.jsonl"
    file.parent.mkdir()
    file.symlink_to(UNREADABLE)
    summary = journals.drain(server.url)
    assert (summary.exit_code, summary.left_beside) == (3, (str(file),))
    assert f"{file} cannot be read (Input/output error)" in caplog.text
    assert journals.drain(server.url, runs=[ended.run.id]).exit_code == 3, "it may be of this run"
    file.unlink()
    assert journals.drain(server.url).exit_code == 0


def test_a_fallback_file_of_somebody_elses_text_is_not(
    journals: Recordings, ended: Training, server: ScriptedServer, tmp_path: Path
) -> None:
    (tmp_path / "fallback").mkdir()
    (tmp_path / "fallback" / "notes.jsonl").write_text("no event\n")
    assert journals.drain(server.url).exit_code == 0


def test_a_last_checkpoint_that_cannot_be_read_is_work_that_remains(
    journals: Recordings, ended: Training, server: ScriptedServer, tmp_path: Path
) -> None:
    best = tmp_path / "best.pt"
    best.symlink_to(UNREADABLE)
    found = file_stamp(best)
    assert found is not None
    ended.event("model_saved", {"epoch": 0, "files": [{"role": "best", "path": str(best), **stamped(found)}]}, "0")
    summary = journals.drain(server.url)
    assert (summary.exit_code, summary.left_beside) == (3, (str(best),))
    other = journals.begin("other")
    assert journals.drain(server.url, runs=[other.run.id]).exit_code == 0, "it is of another run"
    best.unlink()
    assert journals.drain(server.url).exit_code == 0
