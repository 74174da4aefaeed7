from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from uploader.callbacks.checkpoints import final_file, save_payload, saved_files


@pytest.fixture
def trainer(tmp_path: Path) -> Any:
    (tmp_path / "last.pt").write_bytes(b"last")
    (tmp_path / "best.pt").write_bytes(b"best")
    return SimpleNamespace(
        last=tmp_path / "last.pt",
        best=tmp_path / "best.pt",
        epoch=5,
        fitness=0.3,
        best_fitness=0.4,
        stopper=SimpleNamespace(best_epoch=3),
    )


def roles(trainer: Any, *, is_first: bool = False) -> dict[str, tuple[int, bool, bool]]:
    files = saved_files(trainer, is_first=is_first)
    return {file.role: (file.epoch, file.publish, file.is_best) for file in files}


def test_a_save_that_is_not_the_best_wrote_only_the_last(trainer: Any) -> None:
    assert roles(trainer) == {"last": (5, False, False)}


def test_a_new_best_is_published(trainer: Any) -> None:
    trainer.fitness, trainer.stopper.best_epoch = 0.4, 6
    assert roles(trainer) == {"last": (5, False, True), "best": (5, True, True)}


def test_a_sessions_first_save_takes_the_best_of_the_one_before_along(trainer: Any) -> None:
    assert roles(trainer, is_first=True) == {"last": (5, False, False), "best": (2, True, True)}


def test_without_a_best_the_last_is_published(trainer: Any) -> None:
    trainer.best.unlink()
    assert roles(trainer) == {"last": (5, True, False)}


def test_a_validation_that_never_ran_makes_every_save_the_best(trainer: Any) -> None:
    trainer.fitness = trainer.best_fitness = None
    assert set(roles(trainer)) == {"last", "best"}


def test_the_final_file_is_the_best_else_the_last_else_none(trainer: Any) -> None:
    final = final_file(trainer)
    assert final is not None
    assert (final.path, final.role, final.epoch, final.publish) == (trainer.best, "final", 2, True)
    trainer.best.unlink()
    final = final_file(trainer)
    assert final is not None
    assert (final.path, final.epoch, final.is_best) == (trainer.last, 5, False)
    trainer.last.unlink()
    assert final_file(trainer) is None
    assert saved_files(trainer, is_first=True) == []


def test_a_save_is_journaled_with_what_salvage_needs(trainer: Any) -> None:
    payload = save_payload(trainer, saved_files(trainer, is_first=False))
    path, written = str(trainer.last.absolute()), trainer.last.stat().st_mtime_ns
    assert payload == {
        "epoch": 5,
        "fitness": 0.3,
        "best_fitness": 0.4,
        "files": [{"role": "last", "path": path, "publish": False, "isBest": False, "size": 4, "mtimeNs": written}],
    }
