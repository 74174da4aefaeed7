"""A training of two processes, as on two GPUs, which upstream starts by `torchrun`: it is one session of one run."""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import uploader

ROOT = Path(__file__).parents[3]
EPOCHS = 2
SINCE = (8, 4, 30)
"""Earlier versions cannot train on two processors as `equivalences.workers` has them do."""


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A data set of two classes."""
    from PIL import Image  # which only an environment that trains has

    random = np.random.default_rng(0)
    for split in ("train", "val"):
        for name, least in (("dark", 0), ("light", 128)):
            (folder := tmp_path / "images" / split / name).mkdir(parents=True)
            for number in range(4):
                pixels = random.integers(least, least + 128, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    return tmp_path / "images"


@pytest.mark.training
def test_each_event_is_journaled_once(
    ultralytics: Any, journal: Any, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the first process; the other one trains, and writes nothing."""
    if tuple(map(int, version("ultralytics").split(".")[:3])) < SINCE:
        pytest.skip("it trains on GPUs only")
    from equivalences.workers import Trainer

    search = [ROOT / "scripts" / "equivalences" / "shims", ROOT, ROOT / "scripts", ROOT / "scripts" / "training"]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, search)))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    model = uploader.attach(ultralytics.YOLO("yolo11n-cls.yaml"), journal=journal.folder)
    model.train(
        trainer=Trainer,
        data=str(images),
        epochs=EPOCHS,
        imgsz=32,
        batch=4,
        workers=0,
        device="cpu",
        plots=False,
        amp=False,
        verbose=False,
        project=str(tmp_path / "runs"),
        name="two",
    )
    assert journal.runs() == [("runs", "two")]
    assert journal.outcomes() == ["complete"]  # one session
    kinds = journal.kinds()
    assert [kinds.count(kind) for kind in ("training_started", "training_complete", "training_failed")] == [1, 1, 0]
    assert [each["epoch"] for each in journal.events("epoch_end")] == list(range(EPOCHS + 1))  # with the evaluation
    finals = journal.rows("SELECT count(*) FROM events WHERE kind = 'checkpoint' AND key = 'final'")
    assert finals == [(1,)]
    chunks = [each["chunkId"] for each in journal.events("console_output")]
    assert len(chunks) == len(set(chunks))
