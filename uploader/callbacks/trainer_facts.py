"""What a trainer tells of itself before it trains, as plain values; to be read in the trainer's own thread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uploader.callbacks.system import training_gpus
from uploader.callbacks.trainer import Trainer
from uploader.callbacks.upstream import started_model, trained_models


@dataclass(frozen=True)
class TrainerFacts:
    """What a recording has to know of a trainer before the training begins.

    Attributes:
        project: The training's project, if it has one.
        name: The training's name, if it has one.
        sweeps: See `project_slug`.
        save_dir: The trainer's folder.
        checkpoint: The checkpoint that it is resumed from.
        started: Id of the model that upstream has registered for it.
        models: See `trained_models`.
        gpus: See `training_gpus`.
    """

    project: str | None
    name: str | None
    sweeps: Path
    save_dir: Path
    checkpoint: Path | None
    started: str | None
    models: Mapping[str, str]
    gpus: list[int] | None


def trainer_facts(trainer: Trainer, visible_gpus: str) -> TrainerFacts:
    """Return what a recording has to know of a trainer.

    Args:
        trainer: The trainer.
        visible_gpus: The value of `CUDA_VISIBLE_DEVICES`.
    """
    args, device = trainer.args, trainer.device
    return TrainerFacts(
        project=str(args.project) if args.project else None,
        name=str(args.name) if args.name else None,
        sweeps=_sweeps(trainer),
        save_dir=Path(trainer.save_dir),
        checkpoint=resumed_from(args.resume),
        started=started_model(trainer),
        models=trained_models(trainer),
        gpus=training_gpus(device.type, device.index, str(args.device), visible_gpus),
    )


def start_facts(trainer: Trainer) -> dict[str, Any]:
    """Return what the start event tells of the training's arguments."""
    arguments = {name: str(value) for name, value in vars(trainer.args).items()}
    return {"trainArgs": arguments, "epochs": trainer.epochs, "device": str(trainer.device)}


def resumed_from(resume: object) -> Path | None:
    """Return the checkpoint that a training is resumed from: the trainer replaces `True` by its path."""
    return Path(resume) if isinstance(resume, (str, Path)) and Path(resume).is_file() else None


def _sweeps(trainer: Trainer) -> Path:
    """Return the folder in which upstream puts trainings on several data sets when no project was named."""
    from ultralytics.utils import SETTINGS

    return Path(SETTINGS["runs_dir"], trainer.args.task)
