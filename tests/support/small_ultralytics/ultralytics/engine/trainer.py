import subprocess  # noqa: F401 - as upstream has it
from copy import copy
from pathlib import Path
from types import SimpleNamespace

from ultralytics.utils import callbacks


class BaseTrainer:
    ddp = False

    def __init__(self, overrides=None, _callbacks=None):
        options = {"project": "demo", "name": "run", "save_dir": "saved", "during": lambda trainer: None}
        options.update(overrides or {})
        self.callbacks = copy(_callbacks) if _callbacks else callbacks.get_default_callbacks()
        self.during = options.pop("during")
        self.save_dir = Path(options["save_dir"])
        self.save_dir.mkdir(parents=True, exist_ok=True)
        self.last, self.best = self.save_dir / "last.pt", self.save_dir / "best.pt"
        self.args = SimpleNamespace(**options, resume=False, device="cpu", task="detect", model="m.pt", mode="train")
        self.device = SimpleNamespace(type="cpu", index=None)
        self.epochs, self.epoch, self.start_epoch = 1, 0, -1
        self.metrics, self.tloss, self.optimizer = {"val/loss": 0.5}, None, None
        self.fitness = self.best_fitness = 0.5
        self.run_callbacks("on_pretrain_routine_start")
        self.data = {"names": {0: "box"}}

    def run_callbacks(self, event):
        for callback in self.callbacks.get(event, []):
            callback(self)

    def label_loss_items(self, loss_items=None, prefix="train"):
        return {}

    def train(self):
        try:
            self.run_callbacks("on_pretrain_routine_end")
            self.run_callbacks("on_fit_epoch_end")
            self.during(self)
            self.run_callbacks("on_train_end")
        finally:
            self.run_callbacks("teardown")
