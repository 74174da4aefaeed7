"""The trainer's record of its epochs in a checkpoint, for where nothing but the checkpoint was kept."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from journal.sessions.lost_epochs import TrainedEpoch
from uploader.run_folder.results_file import epochs_of_columns

_RESULTS = "train_results"


def checkpoint_results(checkpoint: Path) -> list[TrainedEpoch]:
    """Return the epochs that a checkpoint tells of, which the trainer has loaded itself a moment ago.

    Its tensors are mapped and not read, where that can be.

    Raises:
        Exception: It cannot be loaded.
    """
    import torch

    load = partial(torch.load, checkpoint, map_location="cpu", weights_only=False)
    content: Any
    try:
        content = load(mmap=True)
    except (TypeError, RuntimeError):  # a version, or a file, from before files could be mapped
        content = load()
    return epochs_of_columns(content.get(_RESULTS) if isinstance(content, dict) else None, checkpoint.name)
