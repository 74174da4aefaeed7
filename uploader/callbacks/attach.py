"""Attaches our callbacks to a model or trainer in place of upstream's, and detaches them."""

from __future__ import annotations

import uploader.names  # noqa: F401 (first, as what follows may be another project's)

# isort: split
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from journal.storage.database import Durability
from uploader.callbacks.attachment import install, keep_detached, uninstall
from uploader.callbacks.trainer_callbacks import PlatformCallbacks, recording_of
from uploader.live.recording_options import check_texts, choose_options, choose_routes
from uploader.platforms.hub import HUB, pages_of
from uploader.platforms.hub.identifier import parse_identifier
from uploader.settings import Settings

if TYPE_CHECKING:
    from uploader.callbacks.trainer import Trainer

ModelOrTrainer = TypeVar("ModelOrTrainer")


def attach(
    model_or_trainer: ModelOrTrainer,
    *,
    journal: str | Path | None = None,
    project: str | None = None,
    name: str | None = None,
    durability: Durability = "full",
    platform: str | Sequence[str] | None = None,
    base_url: str | None = None,
    hub_model: str | None = None,
    max_size: int | str | None = None,
    mirror: str | Path | None = None,
    drain: bool | None = None,
) -> ModelOrTrainer:
    """Record the trainings of a model, or the training of a trainer, into a journal.

    Upstream's own Platform streaming is disabled, so that a training is not streamed twice. Our callbacks run after all
    others, whenever those were added. Trainings that upstream starts in child processes are recorded, too: `tune()`,
    several data sets, several GPUs. Attaching again replaces what was attached before. No network is needed, neither
    now nor while training.

    Args:
        model_or_trainer: An Ultralytics model (`YOLO(...)`), or a trainer that does not train yet. The trainer of a
            multi-GPU training records in its first worker.
        journal: Folder of the journal; None for `UPLOADER_JOURNAL`, else a per-user data folder. Or the URL of a shared
            journal, `postgresql://user@host/database`: then the training is recorded into a journal of this machine,
            and a process beside it brings that into the shared one, whenever its server can be reached.
        project: Project to record under; None for the training's own.
        name: Name to record under; None for the training's own.
        durability: With `full`, events survive a power cut once they are flushed, for which a callback waits for
            `UPLOADER_MAX_WAIT` at most (3 ms); with `strict`, once the callback returns, however long the disk takes;
            with `process`, only the death of the process.
        platform: `ultralytics`, `hub`, or a list of both. None for those whose URL is in the environment
            (`ULTRALYTICS_PLATFORM_URL`, `ULTRALYTICS_HUB_API`), else for what the first drain is configured for.
        base_url: Address of the one platform; None for its URL in the environment, else for the one that the first
            drain knows. Without `platform` it is the address of an Ultralytics Platform.
        hub_model: URL of the HUB model that is trained, or anything else that `load_hub_model` accepts; it implies HUB.
            Without it, a model is created there when the run is delivered.
        max_size: The size from which the journal evicts what it may: bytes, or text such as `20GB`. None for
            `UPLOADER_MAX_SIZE`, else 50 GB.
        mirror: A folder that outlives this machine, such as one on a mounted drive, or an object store (`s3://…`,
            `gs://…`, `az://…`, with the extra `mirror`); the run is copied there within two seconds, by a thread of
            its own. A resumed training finds its run there when this machine's disk is new.
            None for `UPLOADER_MIRROR`, else no mirror.
        drain: Whether to keep a drain at work beside the training: one process for each journal, which goes on when the
            training's process, or the notebook's kernel, is gone, and ends once everything has arrived. It finds its
            key where any drain does. None for `UPLOADER_DRAIN`, else False. Not for a shared journal: others drain it.

    Returns:
        The same model or trainer.

    Raises:
        TypeError: It is neither a model nor a trainer.
        ValueError: The durability is unknown.
        SettingsError: A platform is unknown; a URL, a size or a mirror, here or in the environment, cannot be used; an
            argument has a wrong type; or the journal is a file. A journal that cannot be written raises no error:
            events go to a fallback file then.
    """
    _check_kind(model_or_trainer)
    check_texts(project=project, name=name, base_url=base_url, hub_model=hub_model)
    settings = Settings.load()
    pages = pages_of(settings.account(HUB.name).options)
    hub_id = parse_identifier(hub_model, pages).model_id if hub_model else None
    routes = choose_routes(settings, platform, base_url, implied=None if hub_model is None else HUB.name)
    keeps_drain = settings.drain if drain is None else drain
    options = choose_options(journal, durability, routes, max_size, mirror, drain=keeps_drain)
    callbacks = PlatformCallbacks(options, project, name, {HUB.model_field: hub_id} if hub_id else {})
    install(model_or_trainer, callbacks)
    if _is_trainer(model_or_trainer) and not getattr(model_or_trainer, "ddp", False):
        _close(model_or_trainer)
        callbacks.on_pretrain_routine_start(cast("Trainer", model_or_trainer))  # which ran while the trainer was built
    return model_or_trainer


def detach(model_or_trainer: ModelOrTrainer) -> ModelOrTrainer:
    """Stop recording and enable upstream's own callbacks again.

    A model's next trainer gets upstream's callbacks when it is built, a trainer gets them now. A training in progress
    ends its session in the journal, without a result. `uploader exec` does not record what was detached either.

    Args:
        model_or_trainer: The model or trainer.

    Returns:
        The same model or trainer.

    Raises:
        TypeError: It is neither a model nor a trainer.
    """
    _check_kind(model_or_trainer)
    if uninstall(model_or_trainer) and _is_trainer(model_or_trainer):
        _close(model_or_trainer)
    keep_detached(model_or_trainer)
    return model_or_trainer


def _check_kind(model_or_trainer: object) -> None:
    """Check that it is a model or a trainer.

    Raises:
        TypeError: It is neither.
    """
    if not (_is_a(model_or_trainer, "ultralytics.engine.model", "Model") or _is_trainer(model_or_trainer)):
        kind = type(model_or_trainer).__name__
        raise TypeError(f"expected an Ultralytics model, such as YOLO('yolo11n.pt'), or a trainer, not {kind}")


def _is_trainer(value: object) -> bool:
    return _is_a(value, "ultralytics.engine.trainer", "BaseTrainer")


def _is_a(value: object, module: str, name: str) -> bool:
    """Return whether a value is an instance of a class, without importing its module: else there are no instances."""
    kind = getattr(sys.modules.get(module), name, None)
    return isinstance(kind, type) and isinstance(value, kind)


def _close(trainer: object) -> None:
    if recording := recording_of(trainer):
        recording.close(None)
