"""A real journal, and a real trainer that is small enough to be built in a test's own process."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from uploader.recording.journal_options import JournalOptions
from uploader.recording.recorder import Recorder


@dataclass(frozen=True)
class ReadBack:
    """A journal, read the way a person would."""

    folder: Path

    def rows(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        if not (self.folder / "journal.db").exists():
            return []
        connection = sqlite3.connect(self.folder / "journal.db")
        try:
            return connection.execute(query, arguments).fetchall()
        finally:
            connection.close()

    def write(self, statement: str, *arguments: Any) -> None:
        with sqlite3.connect(self.folder / "journal.db") as connection:
            connection.execute(statement, arguments)
        connection.close()

    def events(self, kind: str) -> list[dict[str, Any]]:
        query = "SELECT payload FROM events WHERE kind = ? ORDER BY id"
        return [json.loads(payload) for (payload,) in self.rows(query, kind)]

    def kinds(self) -> list[str]:
        return [kind for (kind,) in self.rows("SELECT kind FROM events ORDER BY id")]

    def runs(self) -> list[tuple[Any, ...]]:
        return self.rows("SELECT project, name FROM runs ORDER BY created_at")

    def outcomes(self) -> list[str | None]:
        return [outcome for (outcome,) in self.rows("SELECT outcome FROM sessions ORDER BY id")]


@pytest.fixture
def read_back() -> Callable[[Path], ReadBack]:
    return ReadBack


@pytest.fixture
def journal(tmp_path: Path) -> ReadBack:
    return ReadBack(tmp_path / "journal")


@pytest.fixture
def recorder(journal: ReadBack, tmp_path: Path) -> Iterator[Recorder]:
    options = JournalOptions(journal=str(journal.folder), durability="process")
    started = Recorder.start(options, project="demo", name="run", save_dir=tmp_path, resume=False)
    yield started
    started.finish("complete")


@pytest.fixture(scope="session")
def ultralytics() -> Any:
    """The library, with torchvision made importable beside a CPU build of torch."""
    from torchvision_ops import ensure_torchvision_ops

    ensure_torchvision_ops()
    import ultralytics

    return ultralytics


@pytest.fixture
def train_arguments(training_data: Path, tmp_path: Path) -> dict[str, Any]:
    return {
        "data": str(training_data),
        "save_dir": str(tmp_path / "My Run"),
        "project": "My Project",
        "epochs": 1,
        "imgsz": 32,
        "batch": 4,
        "fraction": 0.1,
        "workers": 0,
        "device": "cpu",
        "plots": False,
        "amp": False,
        "verbose": False,
    }


@pytest.fixture
def build_trainer(ultralytics: Any, train_arguments: dict[str, Any]) -> Callable[..., Any]:
    """Build a trainer as `YOLO.train` does, without training."""

    def build(model: Any = None, **changes: Any) -> Any:
        from ultralytics.models.yolo.detect import DetectionTrainer

        overrides = {"model": "yolo11n.yaml", "mode": "train", **train_arguments, **changes}
        return DetectionTrainer(overrides=overrides, _callbacks=model.callbacks if model else None)

    return build
