"""A training with a mirror: its last line tells what is safe, and a new machine goes on with it."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.trainers import SmallTrainer


@pytest.fixture
def said(ultralytics: Any) -> Iterator[list[str]]:
    """What upstream's logger is told."""
    from ultralytics.utils import LOGGER

    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    LOGGER.addHandler(handler)
    yield lines
    LOGGER.removeHandler(handler)


def test_the_last_line_says_what_is_safe(said: list[str], tmp_path: Path) -> None:
    SmallTrainer(tmp_path, mirror=tmp_path / "mirror").train()
    assert said[-1].startswith("Uploader: run ")
    assert f"acknowledged by the mirror {tmp_path / 'mirror'}" in said[-1]


def test_the_last_line_says_what_is_not_safe(said: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"in the way")
    SmallTrainer(tmp_path, mirror=tmp_path / "file" / "mirror").train()
    assert "is NOT whole in its mirror" in said[-1]
    assert "mirrors the rest" in said[-1]


def test_a_resumed_training_has_its_earlier_epochs_although_the_journal_was_wiped(
    said: list[str], tmp_path: Path, read_back: Any
) -> None:
    class Killed(BaseException):
        pass

    def kill(trainer: Any) -> None:
        if trainer.epoch == 1:
            raise Killed

    first = SmallTrainer(tmp_path, mirror=tmp_path / "mirror", during=kill)
    first.epochs = 3
    with pytest.raises(Killed):
        first.train()
    shutil.rmtree(tmp_path / "journal")
    second = SmallTrainer(tmp_path, mirror=tmp_path / "mirror", resume=str(tmp_path / "run" / "last.pt"))
    second.train()
    journal = read_back(tmp_path / "journal")
    assert len(journal.runs()) == 1
    assert [payload["epoch"] for payload in journal.events("epoch_end")] == [0, 0]
    assert journal.kinds().count("training_started") == 2
