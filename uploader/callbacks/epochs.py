"""One epoch of a training as the payload of `epoch_end`."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from journal.handler_errors import raised_in_handler
from uploader.callbacks.model_profile import ModelProfile, parameters
from uploader.callbacks.trainer import Trainer


class EpochRead(NamedTuple):
    """What the trainer tells when an epoch ends.

    Attributes:
        epoch: The number to report it under.
        is_again: Whether the trainer has reported under its own number before.
        payload: Of its event.
        batch: The batch size; None where the trainer does not tell.
    """

    epoch: int
    is_again: bool
    payload: Mapping[str, Any]
    batch: object


def epoch_payload(
    trainer: Trainer, epoch: int, system: Mapping[str, Any] | None, profile: ModelProfile | None = None
) -> dict[str, Any]:
    """Return the data of the platform's `epoch_end` event.

    Args:
        trainer: At the end of an epoch, or after the final evaluation.
        epoch: The epoch to report under.
        system: What `SystemSampler.sample` returned.
        profile: What knows the model's GFLOPs; by default the model is run to find out.
    """
    payload: dict[str, Any] = {
        "epoch": epoch,
        "metrics": epoch_metrics(trainer),
        "system": system,
        "fitness": trainer.fitness,
        "best_fitness": trainer.best_fitness,
    }
    # The model is known from the first epoch on; a resumed run may be new to the platform.
    if epoch == getattr(trainer, "start_epoch", 0) and (info := model_info(trainer, profile)):
        payload["modelInfo"] = info
    return payload


def epoch_metrics(trainer: Trainer) -> dict[str, Any]:
    """Return the training losses (`train/…`), the validation metrics and `lr`, by name."""
    losses = trainer.label_loss_items(trainer.tloss, prefix="train") if trainer.tloss is not None else {}
    metrics = {**losses, **(trainer.metrics or {})}
    groups = getattr(getattr(trainer, "optimizer", None), "param_groups", None)
    if groups:
        metrics["lr"] = groups[0]["lr"]
    return metrics


def is_written_down(trainer: Trainer) -> bool:
    """Return whether the trainer's current epoch is complete: the last one in its own results file."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        last = Path(trainer.csv).read_text("utf-8").rstrip().rpartition("\n")[2]  # type: ignore[attr-defined]
        return int(float(last.partition(",")[0])) == trainer.epoch + 1
    return False


def model_info(trainer: Trainer, profile: ModelProfile | None = None) -> dict[str, Any] | None:
    """Return parameters, GFLOPs and inference time (ms per image), or None for a model that cannot be measured."""
    try:
        info = _profiled(trainer, profile) or _measured(trainer)
    except Exception as error:  # profiling runs the model, a custom one may fail in any way
        if raised_in_handler(error):
            raise
        return None
    return {
        "parameters": info.get("model/parameters", 0),
        "gflops": info.get("model/GFLOPs", 0),
        "speedMs": info.get("model/speed_PyTorch(ms)", 0),
    }


def _profiled(trainer: Trainer, profile: ModelProfile | None) -> dict[str, Any] | None:
    """Return what upstream would measure, without running the model.

    None where that is not possible, where more is asked for, or where the model was changed since it was copied.
    """
    parts: Any = trainer
    if trainer.args.profile or profile is None or (gflops := profile.gflops()) is None:
        return None
    if (count := parameters(parts.model)) != profile.parameters:
        return None
    return {
        "model/parameters": count,
        "model/GFLOPs": gflops,
        "model/speed_PyTorch(ms)": round(parts.validator.speed["inference"], 3),
    }


def _measured(trainer: Trainer) -> dict[str, Any]:
    from ultralytics.utils.torch_utils import model_info_for_loggers

    return dict(model_info_for_loggers(trainer))
