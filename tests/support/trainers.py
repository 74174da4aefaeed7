"""A trainer that trains nothing: what callbacks see of one, in the order in which Ultralytics' runs them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from uploader.callbacks.trainer_callbacks import PlatformCallbacks
from uploader.recording.journal_options import JournalOptions


class SmallTrainer:
    """Trains one epoch after the other by doing nothing.

    Args:
        folder: The journal is `folder/journal`, the trainer's folder is one beside it.
        name: Of the run.
        fails: Whether its data cannot be had.
        tears_down: Whether it tears down after an error, as newer versions do.
        during: Called in each epoch.
        drain: Whether a drain is kept at work beside it.
        mirror: The folder that its run is mirrored to, if it is.
        resume: The checkpoint that it is resumed from, if it is.
    """

    def __init__(
        self,
        folder: Path,
        name: str = "run",
        *,
        fails: bool = False,
        tears_down: bool = True,
        during: Callable[[Any], object] = lambda trainer: None,
        drain: bool = False,
        mirror: Path | None = None,
        resume: bool | str = False,
    ) -> None:
        named = str(mirror) if mirror else None
        options = JournalOptions(str(folder / "journal"), "process", drain=drain, mirror=named)
        self.ours = PlatformCallbacks(options)
        self.save_dir = folder / name
        self.save_dir.mkdir(parents=True, exist_ok=True)
        self.last, self.best = self.save_dir / "last.pt", self.save_dir / "best.pt"
        chosen = {"project": "demo", "name": name, "resume": resume}
        self.args = SimpleNamespace(**chosen, device="cpu", task="detect", model="m.pt")
        self.device = SimpleNamespace(type="cpu", index=None)
        self.callbacks: dict[str, list[Any]] = {}
        self.epochs, self.epoch, self.start_epoch = 1, 0, -1
        self.metrics, self.tloss, self.optimizer = {"val/loss": 0.5}, None, None
        self.fitness = self.best_fitness = 0.5
        self.tears_down, self.during = tears_down, during
        self.ours.on_pretrain_routine_start(self)
        self.data = self.get_dataset(fails)

    def get_dataset(self, fails: bool) -> dict[str, Any]:
        if fails:
            raise FileNotFoundError("no such data")
        return {"names": {0: "box"}}

    def train(self) -> None:
        with self._torn_down():
            self.ours.on_pretrain_routine_end(self)
            for epoch in range(self.epochs):
                self.epoch = epoch
                self.during(self)
                self.last.write_bytes(b"weights %d" % self.epoch)
                self.ours.on_model_save(self)
                self.ours.on_fit_epoch_end(self)
            self.final_eval()
            self.ours.on_train_end(self)

    def final_eval(self) -> None:
        """Evaluate nothing."""

    @contextlib.contextmanager
    def _torn_down(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            if self.tears_down:
                self.ours.teardown(self)
            raise
        self.ours.teardown(self)

    def label_loss_items(self, loss_items: Any = None, prefix: str = "train") -> dict[str, float]:
        return {}
