"""A checkpoint's copy stands back on the disk, and nothing else does."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import psutil
import pytest

from journal.checkpoints import blobs
from journal.disk_priority import standing_back
from journal.writing.writer import Writer
from uploader.recording.journal_options import JournalOptions
from uploader.recording.recorder import Recorder

IDLE = getattr(psutil, "IOPRIO_CLASS_IDLE", None)


def is_idle() -> bool:
    """Return whether this thread's reads and writes wait for others'."""
    return bool(psutil.Process(threading.get_native_id()).ionice()[0] == IDLE)


@pytest.fixture(autouse=True)
def _can_stand_back() -> None:
    if IDLE is None or is_idle():
        pytest.skip("this system knows no such priority, or the tests have it")
    with standing_back():
        if not is_idle():
            pytest.skip("this system forbids it")


def test_a_thread_stands_back_in_the_block_only() -> None:
    assert not is_idle()
    with pytest.raises(ZeroDivisionError), standing_back():
        raise ZeroDivisionError
    assert not is_idle()


@pytest.mark.parametrize("role", ["last", "best", "final"])
def test_a_copy_stands_back_unless_somebody_waits_for_it(
    folder: Path, save_dir: Path, monkeypatch: pytest.MonkeyPatch, role: str
) -> None:
    stood_back: dict[str, bool] = {}

    def noting(name: str, do: Any) -> Any:
        def noted(*arguments: Any, **options: Any) -> Any:
            stood_back[name] = is_idle()
            return do(*arguments, **options)

        return noted

    monkeypatch.setattr(blobs, "_copy", noting("copy", blobs._copy))
    monkeypatch.setattr(Writer, "add_checkpoint", noting("event", Writer.add_checkpoint))
    options = JournalOptions(journal=str(folder))
    recorder = Recorder.start(options, project=None, name="run", save_dir=save_dir, resume=False)
    path = save_dir / f"{role}.pt"
    path.write_bytes(b"weights")
    recorder.checkpoint(path, role=role, epoch=0, publish=True, is_best=True)
    recorder.finish("complete")
    assert stood_back == {"copy": role != "final", "event": False}
