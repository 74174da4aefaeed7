"""Ultralytics' own files in a run's folder, above all the small one that names the model that a training goes on as.

Upstream writes that when it registers a training, and reads it when one is resumed. So ours do both, too: a training
goes on as the same model whoever records its next session.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from journal.checkpoints.salvage import RUN_FILE

CHECKPOINTS = ("weights/best.pt", "weights/last.pt")
"""The files in which Ultralytics keeps a run's checkpoints, below its folder."""
MODEL_FILE = "platform_model_id.txt"
_LONGEST = 200


def read_model_file(folder: Path) -> str | None:
    """Return the id that a folder's file holds; None where there is none, or what it holds can be none."""
    try:
        model_id = (folder / MODEL_FILE).read_text("utf-8").strip()
    except (OSError, ValueError):
        return None
    is_one = len(model_id) <= _LONGEST and model_id.isascii() and len(model_id.split()) == 1
    return model_id if is_one and model_id.isprintable() else None


def write_model_file(folder: Path, run_id: str, model_id: str) -> None:
    """Write the id into a run's folder, where that is this machine's and this user's, and says that it is the run's.

    Upstream ends a training when it cannot write its file, so a drain of another user leaves none.

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
