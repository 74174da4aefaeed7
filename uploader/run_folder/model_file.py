"""Ultralytics' own files in a run's folder, above all the model file, in which it notes the training's model.

Upstream writes that when it registers a training, and reads it when the training is resumed. We do both, too, so that a
training continues as the same model whoever records its next session.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from journal.checkpoints.salvage import RUN_FILE

CHECKPOINTS = ("weights/best.pt", "weights/last.pt")
"""The files in which Ultralytics keeps a run's checkpoints, below its folder."""
MODEL_FILE = "platform_model_id.txt"
_LONGEST = 200


def read_model_file(folder: Path) -> str | None:
    """Return the model id in a folder's model file; None when there is no file, or it holds no valid id."""
    try:
        model_id = (folder / MODEL_FILE).read_text("utf-8").strip()
    except (OSError, ValueError):
        return None
    is_one = len(model_id) <= _LONGEST and model_id.isascii() and len(model_id.split()) == 1
    return model_id if is_one and model_id.isprintable() else None


def write_model_file(folder: Path, run_id: str, model_id: str) -> None:
    """Write a model's id into a run's folder if that is on this machine, this user's, and the run's by its run file.

    A drain of another user writes none: upstream ends a training that cannot overwrite the file.

    Raises:
        OSError: It cannot be written.
    """
    try:
        mark = folder / RUN_FILE
        is_its = json.loads(mark.read_bytes()).get("run") == run_id
        is_ours = mark.stat().st_uid == os.geteuid()
    except (OSError, ValueError, AttributeError, RecursionError):
        return
    if is_its and is_ours and read_model_file(folder) != model_id:
        temporary = folder / f".{MODEL_FILE}.tmp"
        temporary.write_text(model_id, "utf-8")
        temporary.replace(folder / MODEL_FILE)


def remove_model_file(save_dir: Path) -> None:
    """Remove the file in which upstream noted the model of an earlier training, which is not to be continued."""
    with suppress(OSError):
        (save_dir / MODEL_FILE).unlink(missing_ok=True)
