"""A callback for Keras 3, on any of its backends."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from journal.kinds import BEST, LAST
from uploader.frameworks.missing_framework import missing
from uploader.frameworks.saved_files import SavedFiles
from uploader.frameworks.trainer_run import TrainerRun
from uploader.live.active_run import ActiveRun

if TYPE_CHECKING:
    Callback = Any
else:
    try:
        from keras.callbacks import Callback
    except ImportError as error:
        raise missing("Keras", "keras", error) from error


class OfflineCallback(Callback):  # type: ignore[misc]
    """Records each epoch of `model.fit`, and what `model.evaluate` measures, as one run.

    model.fit(x, y, epochs=3, callbacks=[OfflineCallback(project="demo")])
    """

    def __init__(self, *, last: str | Path | None = None, best: str | Path | None = None, **options: Any) -> None:
        """Record nothing yet.

        Args:
            last: File into which a `ModelCheckpoint` that stands before this callback saves each epoch.
            best: File into which one saves the best epoch.
            options: As for `uploader.start_run`.
        """
        super().__init__()
        self._run = TrainerRun(options)
        self._paths = {LAST: last, BEST: best}
        self._files = SavedFiles()
        self._epoch = -1

    @property
    def run(self) -> ActiveRun | None:
        """The run; None before there is any."""
        return self._run.current

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Begin the run with the first epoch of a training, or go on with it if that is a later one."""
        if self._run.trains and epoch > self._epoch:
            return
        if epoch == 0:
            self._run.begin_anew()
        optimizer = getattr(self.model, "optimizer", None)
        facts = {"optimizer": optimizer.get_config()} if optimizer is not None else {}
        self._run.begin_training({**(self.params or {}), **facts})

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Have the model stop if a platform has cancelled the run."""
        if self._run.open().stop_requested:
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Record an epoch and what was saved of it; the epoch is durable when this returns."""
        run, self._epoch = self._run.open(), epoch
        run.log(logs or {}, step=epoch)
        for role, path in self._paths.items():
            if path is not None and self._files.is_new(role, Path(path)):
                run.log_checkpoint(path, role=role, step=epoch)

    def on_test_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Record what was evaluated outside of a training, with the last epoch."""
        if not self._run.trains and logs:
            run = self._run.open()
            run.log({f"test_{name}": value for name, value in logs.items()}, step=max(0, run.next_step - 1))
            self._run.end()

    def on_train_end(self, logs: Any = None) -> None:
        """End the run as complete."""
        self._run.end()
