"""The callbacks that a trainer runs.

They are pickled to DDP workers inside `trainer.callbacks`, so an object of this module holds options and nothing else.
The state of a training in progress is created when it starts, and lives at `trainer.uploader`.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from uploader.callbacks.epochs import EpochRead
from uploader.callbacks.recording import Recording, Save
from uploader.callbacks.system import SystemSampler
from uploader.callbacks.trainer import Callback, Trainer
from uploader.callbacks.trainer_facts import trainer_facts
from uploader.callbacks.upstream import STREAMED_AS, silence_upstream
from uploader.errors import SettingsError
from uploader.keys import missing_key
from uploader.live.current_training import current_recording, make_current
from uploader.live.guard import guard, guarded, guarded_after
from uploader.recording.journal_options import JournalOptions
from uploader.recording.recorder import Recorder
from uploader.recording.serial_executor import CallerTask, in_caller
from uploader.redacting import Redactor
from uploader.settings import Settings
from uploader.slugs import project_slug, respelled, run_slug

_LOG = logging.getLogger("ultralytics")
_A_KEY_MAY_COME = "a key that is saved meanwhile is found, one in a variable only by the next training's drain"
ATTRIBUTE = "uploader"
"""The trainer's attribute that holds its `Recording`."""

EVENTS = frozenset(
    {
        "on_pretrain_routine_start",
        "on_pretrain_routine_end",
        "on_train_epoch_start",
        "on_train_batch_end",
        "on_fit_epoch_end",
        "on_model_save",
        "on_train_end",
        "teardown",
        "on_train_start",
        "on_val_start",
    }
)
"""Every event at which upstream's own reporting does something is among them."""


def recording_of(trainer: object) -> Recording | None:
    """Return the recording of a trainer while its training runs; None otherwise, and on every rank but the first."""
    recording = getattr(trainer, "__dict__", {}).get(ATTRIBUTE)  # no code of the trainer's class runs for it
    if not (isinstance(recording, Recording) and recording.is_open):
        return None
    make_current(recording)
    return recording


def _training_of(trainer: object) -> Recording | None:
    """Return the recording of a trainer that trains, so that its thread can read it before our thread asks."""
    recording = recording_of(trainer)
    return recording if recording and recording.is_under_way else None


def _reads_epoch(trainer: Trainer) -> CallerTask[EpochRead] | None:
    recording = _training_of(trainer)
    return recording.reads_epoch(trainer) if recording else None


def _reads_save(trainer: Trainer) -> CallerTask[Save] | None:
    recording = _training_of(trainer)
    return recording.reads_save(trainer) if recording else None


@dataclass(frozen=True)
class PlatformCallbacks:
    """Records a training into the journal, event by event; none of its callbacks raises or uses the network.

    Attributes:
        options: Which journal, how durable, for which destinations.
        project: Project to record under instead of the training's own.
        name: Name to record under instead of the training's own.
        models: Ids of the platforms' models that are trained, by the field that a registration has for each; the
            trainer may know of some, too.
    """

    options: JournalOptions
    project: str | None = None
    name: str | None = None
    models: Mapping[str, str] = field(default_factory=dict)

    @property
    def platforms(self) -> frozenset[str]:
        """Names of the platforms that were chosen for the run."""
        return frozenset(platform for platform, _ in self.options.routes)

    def callback(self, event: str) -> Callback | None:
        """Return the callback for an event; None when there is none."""
        return getattr(self, event) if event in EVENTS else None

    @guarded
    def on_pretrain_routine_start(self, trainer: Trainer) -> None:
        """Start or continue the run. Runs while the trainer is built, before data and model are loaded."""
        if not _is_main_process():
            return
        self._begin(trainer, resume=in_caller(lambda: bool(trainer.args.resume)))

    @guarded
    def on_pretrain_routine_end(self, trainer: Trainer) -> None:
        """Apply an early cancellation, as the trainer's setup has reset `stop`."""
        if recording := self._under_way(trainer, begins=True):
            recording.confirm_started()
            recording.signals.check(trainer)

    @guarded
    def on_train_epoch_start(self, trainer: Trainer) -> None:
        """Note that an epoch begins, and check for a cancellation."""
        if recording := recording_of(trainer):
            recording.epoch_begins()
            if _trains_alone():
                recording.signals.check(trainer)

    def on_train_batch_end(self, trainer: Trainer) -> None:
        """Check for a cancellation now and then, as newer trainers stop between two batches.

        It is guarded only when there is something to do, which would otherwise cost too much in each batch.
        """
        if (recording := recording_of(trainer)) and recording.signals.is_due() and _trains_alone():
            signals = recording.signals
            guard(trainer, "on_train_batch_end", lambda: signals.check_between_batches(trainer))

    @guarded_after(_reads_epoch)
    def on_fit_epoch_end(self, trainer: Trainer, reads: CallerTask[EpochRead] | None) -> None:
        """Record the epoch; runs once more after the final evaluation."""
        if recording := self._under_way(trainer):
            recording.epoch_end(trainer, reads)
            recording.signals.check(trainer)

    @guarded_after(_reads_save)
    def on_model_save(self, trainer: Trainer, reads: CallerTask[Save] | None) -> None:
        """Record the save."""
        if recording := self._under_way(trainer):
            recording.model_saved(trainer, reads)

    @guarded
    def on_train_end(self, trainer: Trainer) -> None:
        """Record the results."""
        if recording := self._under_way(trainer):
            recording.complete(trainer)

    def teardown(self, trainer: Trainer) -> None:
        """End the session. The trainer calls this in a `finally` block, while the error that ends it is handled.

        It is not guarded as the others are, since that error is visible in this thread only.
        """
        if recording := recording_of(trainer):
            recording.close(sys.exc_info()[1])

    @guarded
    def on_train_start(self, trainer: Trainer) -> None:
        """Record what is known now that the trainer is set up."""
        if recording := recording_of(trainer):
            recording.record_batch(trainer)

    @guarded
    def on_val_start(self, validator: Any) -> None:
        """Record the training's result when its final evaluation begins."""
        recording = current_recording()
        if isinstance(recording, Recording) and in_caller(lambda: validator.args.mode != "val"):
            recording.before_final_evaluation(validator)

    def _under_way(self, trainer: Trainer, *, begins: bool = False) -> Recording | None:
        """Return the trainer's recording, begun again if it has ended.

        A trainer may train a second time, or continue in a forked child; either is another session of the same run.

        Args:
            trainer: The trainer.
            begins: Whether a training begins now.
        """
        recording = recording_of(trainer)
        last = vars(trainer).get(ATTRIBUTE)
        if recording is not None or not isinstance(last, Recording) or not (begins or last.is_of_another_process):
            return recording
        return self._begin(trainer, resume=True)

    def _begin(self, trainer: Trainer, *, resume: bool) -> Recording:
        recording = self._recording(trainer, resume=resume)
        in_caller(partial(_replace_upstream, trainer, recording))
        recording.begin(trainer)
        return recording

    def _recording(self, trainer: Trainer, *, resume: bool) -> Recording:
        settings = _settings()
        facts = in_caller(partial(trainer_facts, trainer, settings.visible_gpus))
        project, name = self.project or facts.project, self.name or facts.name
        recorder = Recorder.start(
            self.options,
            project=project_slug(project, facts.sweeps),
            name=run_slug(name),
            save_dir=facts.save_dir,
            resume=resume,
            checkpoint=facts.checkpoint,
            started=facts.started,
        )
        if self.options.drain and (reason := missing_key(settings, self.options.routes)):
            _LOG.warning("Uploader: the drain beside this training waits: %s; %s", reason, _A_KEY_MAY_COME)
        for message in respelled(project, name, facts.sweeps):
            _LOG.info("Uploader: %s", message)
        origin = recorder.origin
        known = {
            **facts.models,
            **self.models,
            STREAMED_AS: origin.model,
            "uploaderCopyOf": origin.copy_of,
        }
        facts_of_origin = {name: value for name, value in known.items() if value}
        return Recording(trainer, recorder, SystemSampler(facts.gpus), Redactor(settings.keys), facts_of_origin)


def _replace_upstream(trainer: Trainer, recording: Recording) -> None:
    setattr(trainer, ATTRIBUTE, recording)
    silence_upstream(trainer)  # now that it is known what upstream has begun


def _is_main_process() -> bool:
    from ultralytics.utils import RANK

    return RANK in {-1, 0}


def _trains_alone() -> bool:
    """Return whether there are no other workers; they would hang if this one stopped in the middle of an epoch."""
    from ultralytics.utils import RANK

    return bool(RANK == -1)


def _settings() -> Settings:
    """Read the settings in this process: options are pickled to disk for DDP, which keys must not be."""
    try:
        return Settings.load()
    except SettingsError:  # the drain reports a bad URL in the environment
        return Settings()
