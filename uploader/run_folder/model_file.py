"""Ultralytics' own files in a run's folder, above all the model file, in which it notes the training's model.

Upstream writes that when it registers a training, and reads it when the training is resumed. We do both, too, so that a
training continues as the same model whoever records its next session.

Upstream's file names no run. So a drain leaves a note of ours beside it, which does: the drain may have been one of a
pack, a mirror or another copy of the journal, and then the journal that the training writes to does not know the model.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from journal.checkpoints.salvage import RUN_FILE

CHECKPOINTS = ("weights/best.pt", "weights/last.pt")
"""The files in which Ultralytics keeps a run's checkpoints, below its folder."""
MODEL_FILE = "platform_model_id.txt"
MODEL_NOTE = "uploader_model.json"
"""Our note of which run the model in the model file is; without any meaning once upstream has written another there."""
_LONGEST = 200


def read_model_file(folder: Path) -> str | None:
    """Return the model id in a folder's model file; None when there is no file, or it holds no valid id."""
    try:
        model_id = (folder / MODEL_FILE).read_text("utf-8").strip()
    except (OSError, ValueError):
        return None
    is_one = len(model_id) <= _LONGEST and model_id.isascii() and len(model_id.split()) == 1
    return model_id if is_one and model_id.isprintable() else None


def is_noted(folder: Path, run_id: str, model_id: str) -> bool:
    """Return whether a drain, of whatever copy of a journal, has noted in a folder that this model is this run."""
    return _json_of(folder / MODEL_NOTE) == {"run": run_id, "model": model_id}


def write_model_file(folder: Path, run_id: str, model_id: str) -> None:
    """Write a model's id into a run's folder if that is on this machine, this user's, and the run's by its run file.

    A drain of another user writes none: upstream ends a training that cannot overwrite the file.

    Raises:
        OSError: It cannot be written.
    """
    try:
        is_ours = (folder / RUN_FILE).stat().st_uid == os.geteuid()
    except (OSError, ValueError):
        return
    if not is_ours or _json_of(folder / RUN_FILE).get("run") != run_id:
        return
    if not is_noted(folder, run_id, model_id):  # first: without it, the model would be taken for upstream's own
        _write(folder, MODEL_NOTE, json.dumps({"run": run_id, "model": model_id}))
    if read_model_file(folder) != model_id:
        _write(folder, MODEL_FILE, model_id)


def remove_model_file(save_dir: Path) -> None:
    """Remove the file in which upstream noted the model of an earlier training, which is not to be continued."""
    for name in (MODEL_FILE, MODEL_NOTE):
        with suppress(OSError):
            (save_dir / name).unlink(missing_ok=True)


def _json_of(file: Path) -> dict[str, Any]:
    """Return the object in a file; an empty one when there is none, or no such file."""
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _write(folder: Path, name: str, content: str) -> None:
    temporary = folder / f".{name}.tmp"
    temporary.write_text(content, "utf-8")
    temporary.replace(folder / name)
