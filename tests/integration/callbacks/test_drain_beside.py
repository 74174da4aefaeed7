"""A training with a drain beside it: a stop reaches the trainer, and the last line tells what has arrived."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.journals import rows, until
from support.recordings import KEY
from support.scripted_server import Reply, Request, received, scripted_server
from support.trainers import SmallTrainer

from journal.reading.drain_at_work import LOG, drain_at_work

pytestmark = pytest.mark.usefixtures("ultralytics")


def cancelling(request: Request) -> Reply:
    """Cancel a training as soon as it has an epoch."""
    reply = received(request)
    if request.method == "POST" and request.json().get("event") == "epoch_end":
        return Reply(body={**reply.body, "cancelled": True, "reason": "by its owner"})
    return reply


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A journal whose drain reaches a platform that cancels; it is told to end at the end."""
    monkeypatch.setenv("UPLOADER_FALLBACK", str(tmp_path / "fallback"))
    monkeypatch.setenv("ULTRALYTICS_API_KEY", KEY)
    with scripted_server(cancelling) as server:
        monkeypatch.setenv("ULTRALYTICS_PLATFORM_URL", server.url)
        yield tmp_path / "journal"
        if found := drain_at_work(tmp_path / "journal"):
            os.kill(found.pid, signal.SIGTERM)
            until(lambda: found.is_gone)


@pytest.fixture
def said() -> Iterator[list[str]]:
    """What upstream's logger has printed."""
    from ultralytics.utils import LOGGER

    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    LOGGER.addHandler(handler)
    yield lines
    LOGGER.removeHandler(handler)


def test_a_stop_reaches_the_trainer_between_two_batches(beside: Path, said: list[str], tmp_path: Path) -> None:
    stopped: list[bool] = []

    def train_batches(trainer: Any) -> None:
        trainer.stop = False
        if trainer.epoch:
            until(lambda: bool(rows(beside, "SELECT 1 FROM signals WHERE kind = 'cancelled'")))
            assert not trainer.stop
            trainer.uploader.signals._check_at = 0.0  # the half second since the last look is over
            trainer.ours.on_train_batch_end(trainer)
            stopped.append(trainer.stop)

    trainer = SmallTrainer(tmp_path, drain=True, during=train_batches)
    trainer.epochs = 2
    trainer.train()
    assert stopped == [True]
    assert any("the platform cancelled this training" in line and "by its owner" in line for line in said)
    first = next(line for line in said if "recording this training" in line)
    assert f"a drain beside it delivers it, and prints to {beside / LOG}" in first
    assert "of this training has arrived at http" in said[-1] or "arrived at http" in said[-1]
    assert str(beside / LOG) in said[-1] or "everything" in said[-1]


def test_without_a_key_the_first_line_and_the_last_say_so(
    beside: Path, said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ULTRALYTICS_API_KEY")
    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path))

    def warned() -> bool:
        return bool((at_work := drain_at_work(beside)) and at_work.warnings)

    SmallTrainer(tmp_path, drain=True, during=lambda _: until(warned)).train()
    [first] = [line for line in said if "the drain beside this training waits: there is no API key" in line]
    assert "a key that is saved meanwhile is found" in first
    assert "waits: " in said[-1]
    assert "nothing is sent; there is no API key" in said[-1]


def test_without_one_the_last_line_says_what_to_type(said: list[str], tmp_path: Path) -> None:
    SmallTrainer(tmp_path).train()
    assert said[-1].startswith("Uploader: nothing of this training has arrived so far, ")
    assert said[-1].endswith(f"`python -m uploader drain --journal {tmp_path / 'journal'}` delivers the rest")
    assert drain_at_work(tmp_path / "journal") is None
