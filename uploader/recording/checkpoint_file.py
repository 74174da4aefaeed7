"""A trainer's checkpoint file: one value from the callback that sees it saved to the journal that snapshots it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from journal.checkpoints.blobs import FileStamp, file_stamp
from journal.checkpoints.salvage import stamped


@dataclass(frozen=True)
class CheckpointFile:
    """A checkpoint file as it was when somebody looked at it.

    Attributes:
        path: The trainer's file, absolute.
        role: `last`, `best` or `final`.
        epoch: The epoch whose weights it holds, from 0.
        publish: Whether a platform that shows one model per run is to get this one.
        is_best: Whether it holds the best weights so far.
        stamp: Inode, size and modification time.
    """

    path: Path
    role: str
    epoch: int
    publish: bool
    is_best: bool
    stamp: FileStamp

    @classmethod
    def of(cls, path: Path, role: str, *, epoch: int, publish: bool, is_best: bool) -> CheckpointFile | None:
        """Return the file as it is now; None where there is none."""
        found = file_stamp(path) if path.is_file() else None
        return None if found is None else cls(path.absolute(), role, epoch, publish, is_best, found)

    @property
    def size(self) -> int:
        """Bytes."""
        return self.stamp[1]

    def refreshed(self) -> CheckpointFile | None:
        """Return the file with its present stamp; None where it is gone."""
        found = file_stamp(self.path)
        return None if found is None else replace(self, stamp=found)

    def save_facts(self) -> dict[str, Any]:
        """Return what a `model_saved` event tells of the file, so that it can be salvaged later."""
        return {
            "role": self.role,
            "path": str(self.path),
            "publish": self.publish,
            "isBest": self.is_best,
            **stamped(self.stamp),
        }

    def checkpoint_facts(self) -> dict[str, Any]:
        """Return what a `checkpoint` event tells of the file, beside the facts of its bytes."""
        return {"epoch": self.epoch, "filename": self.path.name, "publish": self.publish, "isBest": self.is_best}
