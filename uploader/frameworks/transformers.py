"""A callback for the `Trainer` of Hugging Face's transformers."""

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
    TrainerCallback = Any
else:
    try:
        from transformers import TrainerCallback
    except ImportError as error:
        raise missing("transformers", "'transformers[torch]'", error) from error

WEIGHTS = ("model.safetensors", "adapter_model.safetensors", "pytorch_model.bin", "adapter_model.bin")
"""The files of a checkpoint's folder that hold a model, or an adapter to one, whole."""


class OfflineCallback(TrainerCallback):  # type: ignore[misc]
    """Records what a `Trainer` logs and saves; each training is a run, and one that is resumed the same run.

        trainer = Trainer(model, args, train_dataset=data, callbacks=[OfflineCallback(project="demo")])

    Of several processes the first records. Steps are the trainer's `global_step`.
    """

    def __init__(self, **options: Any) -> None:
        """Record nothing yet.

        Args:
            options: As for `uploader.start_run`. The `folder` is the trainer's `output_dir`, unless another is named,
                and a training that the trainer resumes goes on with the run of that folder.
        """
        super().__init__()
        self._run = TrainerRun(options)
        self._files = SavedFiles()

    @property
    def run(self) -> ActiveRun | None:
        """The run; None before there is any."""
        return self._run.current

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """Begin a run, or go on with the one that is resumed."""
        if not state.is_world_process_zero:
            return
        if not state.global_step:
            self._run.begin_anew()
            self._files = SavedFiles()
        self._run.begin_training(**_facts(args, state, model, resume=state.global_step > 0))

    def on_log(
        self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, model: Any = None, **_: Any
    ) -> None:
        """Record what the trainer logs; it is durable when this returns."""
        if state.is_world_process_zero and logs:
            self._log(args, state, model, logs)

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """End the run again if this was evaluated outside of a training."""
        if not self._run.trains:
            self._run.end()

    def on_predict(
        self, args: Any, state: Any, control: Any, metrics: Mapping[str, Any], model: Any = None, **_: Any
    ) -> None:
        """Record the metrics of a prediction."""
        if state.is_world_process_zero and metrics:
            self._log(args, state, model, metrics)
            self.on_evaluate(args, state, control)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Have the trainer stop if a platform has cancelled the run."""
        if self._run.trains and self._run.open().stop_requested:
            control.should_training_stop = True

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Record the weights of a checkpoint: the newest as last, and the best as best."""
        if not (state.is_world_process_zero and self._run.trains):
            return
        folders = {LAST: _newest(args, state), BEST: state.best_model_checkpoint}
        for role, folder in folders.items():
            if folder and self._files.is_new(role, path := _weights(Path(folder))):
                step = state.global_step if role == LAST else getattr(state, "best_global_step", None)
                self._run.open().log_checkpoint(path, role=role, step=step)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """End the run as complete."""
        self._run.end()

    def _log(self, args: Any, state: Any, model: Any, logs: Mapping[str, Any]) -> None:
        run = self._run.open(**_facts(args, state, model, resume=False))
        run.log({_named(name): value for name, value in logs.items()}, step=state.global_step)


def _facts(args: Any, state: Any, model: Any, *, resume: bool) -> dict[str, Any]:
    """Return what the trainer knows for a run that begins."""
    folder = Path(args.output_dir)
    if state.is_hyper_param_search and state.trial_name:
        folder = folder / str(state.trial_name)
    config = {**args.to_dict(), "model_config": _config(model)}
    return {"config": config, "name": args.run_name, "folder": folder, "resume": resume, "rank": 0}


def _config(model: Any) -> dict[str, Any]:
    config: Any = getattr(model, "config", None)
    return dict(config.to_dict()) if hasattr(config, "to_dict") else {}


def _named(name: str) -> str:
    """Return a metric's name as transformers' own integrations tell it, such as `eval/loss` for `eval_loss`."""
    part, _, rest = name.partition("_")
    return f"{part}/{rest}" if part in ("eval", "test") and rest else f"train/{name}"


def _newest(args: Any, state: Any) -> Path | None:
    """Return the checkpoint's folder of this step; in a search for hyperparameters it is in the trial's folder."""
    name, output = f"checkpoint-{state.global_step}", Path(args.output_dir)
    found = [each for each in (output / name, *output.glob(f"*/{name}")) if each.is_dir()]
    return max(found, key=lambda each: each.stat().st_mtime_ns, default=None)


def _weights(folder: Path) -> Path:
    """Return the file with the weights; the folder itself, which is kept as an archive, where they are in several."""
    return next((folder / name for name in WEIGHTS if (folder / name).is_file()), folder)
