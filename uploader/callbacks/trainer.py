"""The part of Ultralytics' trainer that callbacks rely on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Any, Protocol

Callback = Callable[[Any], object]
CallbackLists = MutableMapping[str, list[Callback]]


class Trainer(Protocol):
    """What `ultralytics.engine.trainer.BaseTrainer` has in every supported version, 8.3.245 to 8.4.x.

    What only some versions or tasks have (`batch_size`, `start_epoch`, `stopper`, `validator`, `plots`,
    `depth_calibration`, …) is read with `getattr` where it is needed.

    Attributes:
        args: The training's arguments as a namespace.
        callbacks: Lists of callables by event name. A trainer iterates over a list while its members run.
        device: A `torch.device`.
        epochs: Number of epochs to train for.
        epoch: The current epoch, from 0; one past the last during the final evaluation.
        save_dir: Folder of the run.
        last: Path of the newest checkpoint, which need not exist.
        best: Path of the best checkpoint, which need not exist.
        optimizer: A `torch.optim.Optimizer`.
        metrics: Validation metrics of the current epoch by name.
        tloss: Mean training loss of the epoch: tensor, mapping, or None before the first batch.
        fitness: Of the current epoch; None before the first validation.
        best_fitness: The highest so far.
        stop: Ends the training when true; between batches in newer versions, after the epoch in older ones.
    """

    args: Any
    callbacks: CallbackLists
    device: Any
    epochs: int
    epoch: int
    save_dir: Path
    last: Path
    best: Path
    optimizer: Any
    metrics: Mapping[str, Any] | None
    tloss: Any
    fitness: float | None
    best_fitness: float | None
    stop: bool

    def label_loss_items(self, loss_items: Any = None, prefix: str = "train") -> Any:
        """Return the losses by name, each name with the prefix."""
