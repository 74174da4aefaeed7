"""Which of the trainer's files a save has written, and what is to become of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from journal.checkpoints.blobs import identity
from journal.checkpoints.salvage import stamped
from journal.kinds import BEST, FINAL, LAST
from uploader.callbacks.results import best_epoch
from uploader.callbacks.trainer import Trainer


@dataclass(frozen=True)
class SavedFile:
    """A checkpoint file.

    Attributes:
        path: The trainer's file.
        role: `last`, `best` or `final`.
        epoch: The epoch whose weights it holds, from 0.
        publish: Whether a platform that shows one model per run is to get this one.
        is_best: Whether it holds the best weights so far.
    """

    path: Path
    role: str
    epoch: int
    publish: bool
    is_best: bool


def saved_files(trainer: Trainer, *, is_first: bool) -> list[SavedFile]:
    """Return the files that a save has written.

    Upstream publishes `best.pt` where there is one, else `last.pt`.

    Args:
        trainer: Just after a save.
        is_first: Whether this is the session's first save. It takes `best.pt` along even when unchanged: the session
            before may have died before its snapshot.
    """
    last, best = Path(trainer.last), Path(trainer.best)
    is_best = trainer.fitness == trainer.best_fitness  # the trainer's own rule for writing best.pt
    files = []
    if last.is_file():
        files.append(SavedFile(last, LAST, trainer.epoch, publish=not best.is_file(), is_best=is_best))
    if best.is_file() and (is_best or is_first):
        files.append(SavedFile(best, BEST, best_epoch(trainer), publish=True, is_best=True))
    return files


def final_file(trainer: Trainer) -> SavedFile | None:
    """Return what remains of a finished training: `best.pt`, else `last.pt`, else nothing."""
    last, best = Path(trainer.last), Path(trainer.best)
    if best.is_file():
        return SavedFile(best, FINAL, best_epoch(trainer), publish=True, is_best=True)
    if last.is_file():
        return SavedFile(last, FINAL, trainer.epoch, publish=True, is_best=False)
    return None


def save_payload(trainer: Trainer, files: Sequence[SavedFile]) -> dict[str, Any]:
    """Return the payload of `model_saved`: every save, whether or not its checkpoint is delivered later."""
    return {
        "epoch": trainer.epoch,
        "fitness": trainer.fitness,
        "best_fitness": trainer.best_fitness,
        "files": [_noted(file) for file in files],
    }


def _noted(file: SavedFile) -> dict[str, Any]:
    found = identity(file.path)
    return {
        "role": file.role,
        "path": str(file.path.absolute()),
        "publish": file.publish,
        "isBest": file.is_best,
        **(stamped(found) if found else {}),
    }
