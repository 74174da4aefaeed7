"""A logger for Lightning, whether it is imported as `lightning.pytorch` or as `pytorch_lightning`."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from journal.kinds import BEST, LAST
from uploader.frameworks.missing_framework import missing
from uploader.frameworks.saved_files import SavedFiles
from uploader.frameworks.trainer_run import TrainerRun
from uploader.live.active_run import ActiveRun

PACKAGES = ("lightning.pytorch", "pytorch_lightning")
RECORDS = ("log", "log_checkpoint", "summary")


def _base() -> Any:
    """Return the class of Lightning's loggers, of the package that is imported already, else of the one installed."""
    failure = ImportError()
    for package in sorted(PACKAGES, key=lambda name: name not in sys.modules):
        try:
            return import_module(f"{package}.loggers").Logger
        except ImportError as error:
            failure = error
    raise missing("Lightning", "lightning", failure) from failure


if TYPE_CHECKING:
    Logger = Any
else:
    Logger = _base()

from lightning_utilities.core.rank_zero import rank_zero_only  # noqa: E402 - Lightning is there


class Experiment:
    """A run as a logger has it: Lightning asks for it before it tells what is to be recorded, also where nothing is."""

    def __init__(self, run: TrainerRun) -> None:
        """Open nothing yet.

        Args:
            run: The run, which begins, or goes on, when something is to be recorded.
        """
        self._trainer_run = run

    def __getattr__(self, name: str) -> Any:
        """Return what the run has by this name."""
        if name.startswith("__"):
            raise AttributeError(name)
        known = None if name in RECORDS else self._trainer_run.current
        return getattr(known or self._trainer_run.open(rank=_rank()), name)


class OfflineLogger(Logger):  # type: ignore[misc]
    """Records what a `Trainer` logs and saves, as one run.

        trainer = Trainer(logger=OfflineLogger(project="demo"))

    The run begins with the training, and ends with it; what is validated or tested after that belongs to it, too. Of
    several processes the first records. Steps are Lightning's.
    """

    def __init__(self, **options: Any) -> None:
        """Record nothing yet.

        Args:
            options: As for `uploader.start_run`. Checkpoints are saved in the `folder`, unless their callback names
                another one.
        """
        super().__init__()
        self._run = TrainerRun(options)
        self._files = SavedFiles()
        self._trainer: Any = None

    @property
    def experiment(self) -> Experiment:
        """The run, to be used as `uploader.start_run` returns it; it begins when it is first used."""
        return Experiment(self._run)

    @property
    def save_dir(self) -> str | None:
        """The run's folder, in which Lightning makes a folder of checkpoints."""
        return None if _rank() else str(self._run.folder())

    @property
    def log_dir(self) -> str | None:
        """The run's folder."""
        return self.save_dir

    @property
    def root_dir(self) -> str | None:
        """The run's folder."""
        return self.save_dir

    @property
    def name(self) -> str:
        """Nothing, as Lightning would make a folder of that name within the run's."""
        return ""

    @property
    def version(self) -> str:
        """Nothing, as the name."""
        return ""

    def log_hyperparams(self, params: Mapping[str, Any] | Namespace, *_: Any, **__: Any) -> None:
        """Record hyperparameters: in the run's configuration, or in its summary once it has begun."""
        given = dict(vars(params) if isinstance(params, Namespace) else params)
        new = {name: value for name, value in given.items() if name not in self._run.config}
        self._run.config.update(new)
        if new and self._run.is_open:
            for name, value in new.items():
                self._open().summary[f"config/{name}"] = value

    def log_graph(self, model: Any, input_array: Any = None) -> None:
        """Begin the run if this is a training: Lightning calls this when it begins one. No graph is recorded."""
        trainer: Any = getattr(model, "_trainer", None)
        if trainer is None or trainer.state.fn != "fit":
            return
        if trainer.ckpt_path is None and not trainer.global_step and not self._run.is_open:
            self._run.begin_anew()  # trained from the beginning again, it is another run
            self._files = SavedFiles()
        self._trainer = trainer
        self._run.begin_training(rank=_rank())

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Record metrics; they are durable when this returns."""
        if _rank():
            return
        run = self._open()
        run.log({"train/epoch" if name == "epoch" else name: value for name, value in metrics.items()}, step=step)
        if self._trainer is not None and run.stop_requested:
            self._trainer.should_stop = True

    def after_save_checkpoint(self, checkpoint_callback: Any) -> None:
        """Record a checkpoint that Lightning's callback has saved: the newest as last, and the best as best."""
        if _rank():
            return
        newest = getattr(checkpoint_callback, "_last_checkpoint_saved", "") or checkpoint_callback.last_model_path
        best = checkpoint_callback.best_model_path if checkpoint_callback.monitor else ""
        for role, path in ((LAST, newest), (BEST, best)):
            if path and self._files.is_new(role, Path(path)):
                self._open().log_checkpoint(path, role=role)

    def finalize(self, status: str) -> None:
        """End the run as Lightning says: `success`, or `failed` with the error that is handled now."""
        self._trainer = None
        self._run.end(None if status == "success" else sys.exc_info()[1] or f"Lightning ended it as {status}")

    def _open(self) -> ActiveRun:
        return self._run.open(rank=_rank())

    def __getstate__(self) -> dict[str, Any]:
        """Be sent to a process that trains."""
        return {**vars(self), "_trainer": None}


def _rank() -> int:
    return int(getattr(rank_zero_only, "rank", None) or 0)
