"""Trainings by frameworks, as the examples have them, and such that are killed.

Importing a framework takes seconds, so trainings that are killed share a process: it imports all of them, and has a
child for each training.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

EXAMPLES = Path(__file__).parents[2] / "examples"


def example(name: str) -> ModuleType:
    """Return the example of a framework."""
    from torchvision_ops import ensure_torchvision_ops

    os.environ.setdefault("KERAS_BACKEND", "torch")
    ensure_torchvision_ops()  # the pinned torch has no compiled torchvision beside it; a person's has
    if str(EXAMPLES) not in sys.path:
        sys.path.append(str(EXAMPLES))
    return importlib.import_module(f"{name}_training")


def callback(name: str, **hooks: Callable[..., None]) -> Any:
    """Return a callback of a framework whose hooks are these."""
    if name == "lightning":
        from pytorch_lightning import Callback as Base
    elif name == "transformers":
        from transformers import TrainerCallback as Base
    else:
        from keras.callbacks import Callback as Base
    return type("Callback", (Base,), {hook: staticmethod(called) for hook, called in hooks.items()})()


def killer(name: str, step: int) -> Any:
    """Return a callback that kills its process after a step."""

    def kill(*arguments: Any, **_: Any) -> None:
        counted = arguments[0] if name == "lightning" else arguments[1]  # the trainer, or its state
        if counted.global_step == step:
            os.kill(os.getpid(), signal.SIGKILL)

    return callback(name, **{"on_train_batch_end" if name == "lightning" else "on_log": kill})


def train_and_be_killed(trainings: dict[str, tuple[str, int]]) -> None:
    """Train by each framework into its folder in a child, which is killed after a step."""
    examples = {name: example(name) for name in trainings}  # before any thread there is
    for name, (folder, step) in trainings.items():
        if (child := os.fork()) == 0:
            examples[name].train(Path(folder), 3, killer(name, step))
            os._exit(1)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL, f"{name}: {status}"


if __name__ == "__main__":
    train_and_be_killed(json.loads(sys.argv[1]))
