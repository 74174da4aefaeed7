"""One training in progress, recorded: its recorder, its console and its state. Lives at `trainer.uploader`."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import weakref
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from journal.clock import now_text
from journal.encoding import plain
from journal.evaluations import SAID, looks_like_one
from journal.kinds import BATCH, EPOCH
from journal.sessions.lost_epochs import TrainerRecord
from uploader.callbacks.checkpoint_results import checkpoint_results
from uploader.callbacks.checkpoints import file_before_evaluation, final_file, save_payload, saved_files
from uploader.callbacks.console import ConsoleCapture
from uploader.callbacks.environment import describe_environment
from uploader.callbacks.epochs import EpochRead, epoch_payload, is_written_down
from uploader.callbacks.model_profile import ModelProfile
from uploader.callbacks.results import recorded_results
from uploader.callbacks.system import SystemSampler
from uploader.callbacks.trainer import Trainer
from uploader.callbacks.trainer_facts import resumed_from, start_facts
from uploader.live.current_training import current_recording, make_current
from uploader.live.guard import guard, optional
from uploader.live.live_run import LiveRun
from uploader.live.platform_signals import PlatformSignals
from uploader.live.training_failure import UNKNOWN_FAILURE, Failure, escaped_from, failure
from uploader.recording.checkpoint_file import CheckpointFile
from uploader.recording.recorder import Recorder
from uploader.recording.serial_executor import CallerTask, executor, in_caller
from uploader.redacting import Redactor
from uploader.run_folder.results_file import read_results_since

Save = tuple[Mapping[str, Any], Sequence[CheckpointFile]]
"""The payload of a save, and its files."""


class Recording:
    """Turns what happens to one trainer into events of one recorder.

    Args:
        trainer: The trainer; only a weak reference is kept.
        recorder: Where events go; owned by this object from now on.
        system: Samples the machine.
        redactor: Removes secrets from text.
        origin: Further members of the start event's `environment`: where the training comes from.

    Attributes:
        signals: What platforms tell the training.
    """

    def __init__(
        self,
        trainer: Trainer,
        recorder: Recorder,
        system: SystemSampler,
        redactor: Redactor,
        origin: Mapping[str, str] | None = None,
    ) -> None:
        self._trainer = weakref.ref(trainer)
        self._recorder = recorder
        self._redactor = redactor
        self._origin = dict(origin or {})
        self._run = LiveRun(
            recorder, system, redactor, lambda journal: ConsoleCapture(journal, self._owns_output), _log
        )
        self.signals = PlatformSignals(recorder.told, _log)
        self._begun_at = now_text()
        self._pid = os.getpid()
        self._executor = executor()
        self._ending = threading.Lock()
        self._seen_failure: Failure | None = None
        self._is_built = self._is_training = False
        self._last_epoch: int | None = None
        self._is_in_epoch: bool | None = None  # None as long as the trainer tells of no beginning
        self._looks_like_epochs = False  # what was recorded as one
        self._batch = in_caller(lambda: str(getattr(trainer.args, "batch", None)))
        self._profile = ModelProfile()
        self._has_saved = False
        self._is_complete = False
        self._is_closed = False

    @property
    def is_open(self) -> bool:
        """Whether the training is under way in this process."""
        return not (self._is_closed or self.is_of_another_process)

    @property
    def is_under_way(self) -> bool:
        """Whether the training has begun in this process, and has not ended."""
        return self.is_open and self._is_training

    @property
    def is_of_another_process(self) -> bool:
        """Whether this process was forked from the one that began the training."""
        return os.getpid() != self._pid

    def begin(self, trainer: Trainer) -> None:
        """Record the start and begin to capture the console."""
        self._executor.keep_thread()
        self._run.system.begin()
        make_current(self)
        atexit.register(self.abandon)
        weakref.finalize(trainer, self._run.console.stop_later, self._end_unseen).atexit = False
        self._is_built = in_caller(lambda: hasattr(trainer, "data"))  # otherwise an error can end it while it is built
        self._run.begin(in_caller(partial(start_facts, trainer)), describe_environment(), self._origin)

    def confirm_started(self) -> None:
        """Note that the training really runs, so that a run that was finished is continued."""
        is_new, self._is_training = not self._is_training, True
        if is_new:
            optional("the model's GFLOPs", self._profile_model)
        self._run.go_on()
        if is_new:
            optional("what the checkpoint tells of earlier epochs", self._salvage_from_checkpoint)

    def record_batch(self, trainer: Trainer) -> None:
        """Record the batch size if it differs from the requested one."""
        self._note_batch(in_caller(partial(_batch, trainer)))

    def epoch_begins(self) -> None:
        """Note that an epoch begins: what ends without having begun is the final evaluation."""
        self._is_in_epoch = True

    def reads_epoch(self, trainer: Trainer) -> CallerTask[EpochRead]:
        """Return what reads of the trainer all that the end of an epoch tells."""
        return CallerTask(partial(self._read_epoch, trainer))

    def epoch_end(self, trainer: Trainer, reads: CallerTask[EpochRead] | None = None) -> None:
        """Record an epoch's metrics; those of the final evaluation get an epoch number of their own.

        Trainers before 8.4.52 report these under the last epoch again, which would replace that epoch's losses.

        Args:
            trainer: At the end of an epoch, or after the final evaluation.
            reads: From `reads_epoch`, where the trainer's thread has begun with it.
        """
        self.confirm_started()  # a custom trainer may not have run the callback at the end of its setup
        if was_in_epoch := self._is_in_epoch:
            self._is_in_epoch = False
        try:
            read = (reads or self.reads_epoch(trainer))()
        except Exception:  # which costs this epoch's event, and nothing else
            self.record_batch(trainer)
            self._last_epoch, _ = in_caller(partial(self._numbered, trainer))
            raise
        self._last_epoch = read.epoch
        self._note_batch(read.batch)
        is_evaluation = read.is_again or (None if was_in_epoch is None else not was_in_epoch)
        payload = {**read.payload, **self._what_to_say(read.payload["metrics"], is_evaluation)}
        self._run.events.event(EPOCH, payload, str(read.epoch))

    def _read_epoch(self, trainer: Trainer) -> EpochRead:
        epoch, is_again = self._numbered(trainer)
        payload = plain(epoch_payload(trainer, epoch, self._run.system.sample(), self._profile))
        return EpochRead(epoch, is_again, payload, _batch(trainer))

    def _numbered(self, trainer: Trainer) -> tuple[int, bool]:
        """Return the number of the epoch that ends, and whether the trainer has reported under its own before."""
        epoch = trainer.epoch
        is_again = epoch == self._last_epoch
        return epoch + is_again, is_again

    def _note_batch(self, batch: object) -> None:
        """Record the batch size if it is another one: AutoBatch chooses it, and a full device halves it."""
        if batch is not None and str(batch) != self._batch:
            self._batch = str(batch)
            self._run.events.event(BATCH, {"batch": batch}, self._batch)

    def _what_to_say(self, metrics: Mapping[str, Any], is_evaluation: bool | None) -> dict[str, bool]:
        """Return what the journal has to be told of an epoch, because its metrics would leave it open.

        Args:
            metrics: Of the epoch.
            is_evaluation: Whether it is the final evaluation; None where that is not known.
        """
        looks = looks_like_one(metrics)
        is_clear = looks == is_evaluation and (not looks or self._looks_like_epochs)
        self._looks_like_epochs = self._looks_like_epochs or not (looks or is_evaluation)
        return {} if is_clear or is_evaluation is None else {SAID: is_evaluation}

    def reads_save(self, trainer: Trainer) -> CallerTask[Save]:
        """Return what reads of the trainer all that a save tells."""
        return CallerTask(lambda: _save(trainer, saved_files(trainer, is_first=not self._has_saved)))

    def model_saved(self, trainer: Trainer, reads: CallerTask[Save] | None = None) -> None:
        """Record a save and have its files snapshotted in the background.

        Args:
            trainer: Just after a save.
            reads: From `reads_save`, where the trainer's thread has begun with it.
        """
        self.confirm_started()
        payload, files = (reads or self.reads_save(trainer))()
        self._run.saved(payload, files)
        self._has_saved = True

    def before_final_evaluation(self, validator: Any) -> None:
        """Record the training's result before its final evaluation.

        Upstream has just stripped the optimizer from its files, so the earlier saves are gone, and the stripped files
        would be lost if the process were killed during the evaluation. They are recorded as an ordinary save; the file
        after the evaluation is the `final` one.
        """
        trainer = self._trainer()
        if trainer is not None and (result := in_caller(partial(file_before_evaluation, trainer, validator))):
            payload, files = in_caller(lambda: _save(trainer, [result]))
            self._run.saved({**payload, "final": True}, files, is_last=True)

    def complete(self, trainer: Trainer) -> None:
        """Record the end of a training: the rest of the console, the final checkpoint, the results."""
        self.confirm_started()
        self._run.console.stop()
        final = in_caller(partial(final_file, trainer))
        payload, losses = in_caller(partial(recorded_results, trainer))
        if final:
            if not final.is_best:
                _log("best.pt is missing, so last.pt is kept as the training's result", logging.WARNING)
            self._run.keep_final(final)
        self._salvage_epochs(trainer)
        self._run.complete(payload, losses)
        self._is_complete = True

    def close(self, error: BaseException | None) -> None:
        """End the session; only the first call, in the process that began it, does anything.

        Args:
            error: What ended the training early, else None.
        """
        if self.is_open:
            guard(self, "the end", lambda: self._end(error), self._recorder.hurry)

    def abandon(self) -> None:
        """Close a training whose teardown never ran.

        It failed while its trainer was built, or this version of Ultralytics runs no teardown after an error, or the
        process ends. Its error is the one that was seen, or the last one that the interpreter reported. A trainer that
        was built and then not used has not failed.
        """
        if self.is_open:
            guard(self, "the end", self._end_unseen, self._recorder.hurry)

    def _end_unseen(self) -> None:
        error = getattr(sys, "last_value", None)
        is_over = self._is_training or not self._is_built
        self._end(
            error if escaped_from(error, self._trainer()) else None,
            self._seen_failure or (UNKNOWN_FAILURE if is_over else None),
        )

    def _end(self, error: BaseException | None, otherwise: Failure | None = None) -> None:
        with self._ending:
            if not self.is_open:
                return
            self._is_closed = True
        self._executor.let_thread_go()
        atexit.unregister(self.abandon)
        self._run.stop_watching()
        self._profile.close()
        how = in_caller(partial(failure, error, self._redactor)) if error is not None else otherwise
        outcome = "complete" if self._is_complete else "failed" if how else "abandoned"
        if outcome == "failed" and not self._run.events.is_buffering:
            optional("the last epoch", self._catch_up)
            if (trainer := self._trainer()) is not None:
                self._salvage_epochs(trainer)
        self._run.end(outcome, how if outcome == "failed" else None)

    def _profile_model(self) -> None:
        trainer: Any = self._trainer()
        if trainer is not None and not in_caller(lambda: trainer.args.profile):
            in_caller(lambda: self._profile.begin(trainer.model, trainer.args.imgsz))

    def _catch_up(self) -> None:
        """Record an epoch that is complete but was not reported, because a callback before ours raised an error."""
        trainer = self._trainer()
        if trainer is not None and in_caller(lambda: trainer.epoch != self._last_epoch and is_written_down(trainer)):
            self.epoch_end(trainer)

    def _salvage_epochs(self, trainer: Trainer) -> None:
        """Record epochs whose events could be written nowhere, before the end that platforms are told."""
        folder = in_caller(lambda: Path(trainer.save_dir))
        self._recorder.salvage_epochs(read_results_since(folder, self._begun_at))

    def _salvage_from_checkpoint(self) -> None:
        """Record the epochs before this session that the journal still lacks, where the checkpoint tells of them."""
        trainer = self._trainer()
        if trainer is None:
            return
        checkpoint = in_caller(lambda: resumed_from(trainer.args.resume))
        first = in_caller(lambda: getattr(trainer, "start_epoch", 0))
        if checkpoint is not None and self._recorder.lacks_epochs(first):
            self._recorder.salvage_epochs(TrainerRecord(checkpoint_results(checkpoint)), before=True)

    def _owns_output(self) -> bool:
        """Return whether what this thread prints belongs to this training: to its current one, or to none."""
        error = sys.exc_info()[1]
        if error is not None and escaped_from(error, self._trainer()):
            self._seen_failure = failure(error, self._redactor)  # whoever caught it is printing it
        return current_recording() in (None, self)


def _batch(trainer: Trainer) -> object:
    return plain({"batch": getattr(trainer, "batch_size", None)})["batch"]


def _save(trainer: Trainer, files: Sequence[CheckpointFile]) -> Save:
    """Return the payload of a save, and its files."""
    return plain(save_payload(trainer, files)), files


def _log(message: str, level: int = logging.INFO) -> None:
    from ultralytics.utils import LOGGER

    LOGGER.log(level, f"Uploader: {message}")
