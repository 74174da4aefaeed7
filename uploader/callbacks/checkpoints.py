"""Which of the trainer's files a save has written, and what is to become of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from journal.kinds import BEST, FINAL, LAST
from uploader.callbacks.results import best_epoch
from uploader.callbacks.trainer import Trainer
from uploader.recording.checkpoint_file import CheckpointFile


def saved_files(trainer: Trainer, *, is_first: bool) -> list[CheckpointFile]:
    """Return the files that a save has written.

    Upstream publishes `best.pt` where there is one, else `last.pt`.

    Args:
        trainer: Just after a save.
        is_first: Whether this is the session's first save. It takes `best.pt` along even when unchanged: the session
            before may have died before its snapshot.
    """
    last, best = Path(trainer.last), Path(trainer.best)
    is_best = trainer.fitness == trainer.best_fitness  # the trainer's own rule for writing best.pt
    has_best = best.is_file()
    files = [CheckpointFile.of(last, LAST, epoch=trainer.epoch, publish=not has_best, is_best=is_best)]
    if has_best and (is_best or is_first):
        files.append(CheckpointFile.of(best, BEST, epoch=best_epoch(trainer), publish=True, is_best=True))
    return [file for file in files if file]


def final_file(trainer: Trainer) -> CheckpointFile | None:
    """Return what remains of a finished training: `best.pt`, else `last.pt`, else nothing."""
    best = CheckpointFile.of(Path(trainer.best), FINAL, epoch=best_epoch(trainer), publish=True, is_best=True)
    return best or CheckpointFile.of(Path(trainer.last), FINAL, epoch=trainer.epoch, publish=True, is_best=False)


def file_before_evaluation(trainer: Trainer, validator: Any) -> CheckpointFile | None:
    """Return the file that a training's final evaluation begins with; None when it is another evaluation."""
    if not trainer.stop or validator.training or getattr(trainer, "validator", None) is not validator:
        return None
    file = final_file(trainer)
    return replace(file, role=BEST if file.is_best else LAST) if file else None


def save_payload(trainer: Trainer, files: Sequence[CheckpointFile]) -> dict[str, Any]:
    """Return the payload of `model_saved`: every save, whether or not its checkpoint is delivered later."""
    return {
        "epoch": trainer.epoch,
        "fitness": trainer.fitness,
        "best_fitness": trainer.best_fitness,
        "files": [file.save_facts() for file in files],
    }
