"""One training in progress: its recorder, its console and what has been said. Lives at `trainer.uploader`."""

from __future__ import annotations

import atexit
import json
import logging
import os
import sys
import threading
import traceback
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from journal.losses import loss_payload
from journal.records import GIVEN_UP
from uploader.callbacks.checkpoints import SavedFile, final_file, save_payload, saved_files
from uploader.callbacks.console import Chunk, ConsoleCapture
from uploader.callbacks.environment import describe_environment
from uploader.callbacks.epochs import epoch_payload
from uploader.callbacks.holding import Holding
from uploader.callbacks.orders import Orders
from uploader.callbacks.plots import without_large
from uploader.callbacks.redact import Redactor
from uploader.callbacks.results import completion_payload
from uploader.callbacks.system import SystemSampler
from uploader.callbacks.trainer import Trainer
from uploader.recorder import Recorder


class Recording:
    """Turns what happens to one trainer into events of one recorder.

    Args:
        trainer: The training that is recorded; only a weak reference is kept.
        recorder: Where events go; owned from here on.
        system: Samples the machine.
        redactor: Takes secrets out of text.
        origin: What else the environment tells of where the training comes from.

    Attributes:
        orders: What platforms have said of the training.
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
        self._events = Holding(recorder.event, holds=recorder.was_complete)
        self._system = system
        self._redactor = redactor
        self._origin = dict(origin or {})
        self._console = ConsoleCapture(self._journal_console)
        self.orders = Orders(recorder.told, _say)
        self._pid = os.getpid()
        self._last_epoch: int | None = None
        self._batch = str(getattr(trainer.args, "batch", None))
        self._has_saved = False
        self._is_complete = False
        self._is_closed = False

    def begin(self, trainer: Trainer) -> None:
        """Record the start and begin to capture the console."""
        _thread.recording = self
        atexit.register(self.abandon)
        payload = {
            "trainArgs": {name: str(value) for name, value in vars(trainer.args).items()},
            "epochs": trainer.epochs,
            "device": str(trainer.device),
            "environment": {
                **describe_environment(),
                "uploaderRun": self._recorder.run_id,
                "uploaderSession": self._recorder.session.facts(),
                **self._origin,
            },
            "system": self._system.sample(),
        }
        key = str(self._recorder.session_number)
        self._events.event("training_started", self._redactor.value(payload), key)
        for epoch, told in self._recorder.origin.epochs:  # a copy that goes on would not be whole without them
            self._events.event("epoch_end", json.loads(told), epoch)
        _say(f"recording this training as run {self._recorder.run_id}; `{self._recorder.drain_command}` delivers it")
        if model := self._recorder.origin.model:
            _say(f"this training goes on as model {model}, which Ultralytics has streamed it to")
        self._console.start()

    def goes_on(self) -> None:
        """Take notice that the trainer is set up, or trains: a run that was finished is not any more."""
        if self._events.holds:
            self._recorder.reopen()
            self._events.let_go()

    def trains_with(self, trainer: Trainer) -> None:
        """Record the batch size that is trained with, where it is another one than was asked for.

        AutoBatch finds one; a device without enough memory halves it.
        """
        batch = getattr(trainer, "batch_size", None)
        if batch is not None and str(batch) != self._batch:
            self._batch = str(batch)
            self._events.event("batch", {"batch": batch}, self._batch)

    def epoch_end(self, trainer: Trainer) -> None:
        """Record an epoch's metrics, and those of the final evaluation under one epoch more.

        Trainers of 8.3 report the latter under the last epoch again, which would replace that epoch's losses.
        """
        self.goes_on()  # a trainer of somebody's own may not have said that it is set up
        epoch = trainer.epoch + (trainer.epoch == self._last_epoch)
        self._last_epoch = epoch
        self._events.event("epoch_end", epoch_payload(trainer, epoch, self._system.sample()), str(epoch))

    def model_saved(self, trainer: Trainer) -> None:
        """Record a save and have its files snapshotted in the background."""
        self.goes_on()
        files = saved_files(trainer, is_first=not self._has_saved)
        # The trainer has not synced its files: a power cut would take them along with this event, so waiting for the
        # disk, which is busy writing them, would gain nothing. Killing the process harms neither.
        self._events.event("model_saved", save_payload(trainer, files), str(trainer.epoch), durability="process")
        for file in files:
            self._snapshot(file)
        self._has_saved = True

    def evaluates(self, validator: Any) -> None:
        """Take the result of a training in before its final evaluation.

        Upstream has just taken the optimizer out of its files: what was saved before is not there any more, and what is
        there would be lost with a process that is killed in the evaluation.
        """
        trainer = self._trainer()
        if trainer is None or not trainer.stop or validator.training:
            return
        if getattr(trainer, "validator", None) is validator and (final := final_file(trainer)):
            self._snapshot(final)

    def complete(self, trainer: Trainer) -> None:
        """Record the end of a training: the rest of the console, the final checkpoint, the results.

        The checkpoint is journaled before the results: a platform then has the weights when it hears that the
        training is complete. The training is over, so that waiting for the disk holds nothing up.
        """
        self.goes_on()
        self._console.stop()
        if final := final_file(trainer):
            if final.path == Path(trainer.last):
                _say("best.pt is missing, so last.pt is kept as the training's result", logging.WARNING)
            self._snapshot(final)
            self._recorder.wait_for_snapshots()
        payload = completion_payload(trainer)
        payload["plots"], losses = without_large(payload["plots"])
        if losses:
            self._events.event(GIVEN_UP, loss_payload("they are too large to be sent", losses), "plots")
        self._events.event("training_complete", self._redactor.results(payload))
        self._is_complete = True

    def close(self, error: BaseException | None) -> None:
        """End the session; only the first call, in the process that began it, does anything.

        Args:
            error: What ended the training early, else None.
        """
        if self._is_closed or os.getpid() != self._pid:
            return
        self._is_closed = True
        atexit.unregister(self.abandon)
        if getattr(_thread, "recording", None) is self:
            _thread.recording = None
        self._console.stop()
        if self._events.holds:
            _say(f"run {self._recorder.run_id} was finished before and did not go on; it stays as it is")
        elif error is not None and not self._is_complete:
            self._recorder.wait_for_snapshots()  # the end comes after all else
            self._events.event("training_failed", self._failure(error))
        self._recorder.finish(self._outcome(error))

    def abandon(self) -> None:
        """Close a training that was never torn down.

        It failed while its trainer was built, or its Ultralytics is too old to tear down after an error. Where that
        error is the last one the interpreter reported, it is recorded.
        """
        error = getattr(sys, "last_value", None)
        self.close(error if _passed_through(error, self._trainer()) else None)

    def _snapshot(self, file: SavedFile) -> None:
        self._recorder.checkpoint(
            file.path, role=file.role, epoch=file.epoch, publish=file.publish, is_best=file.is_best
        )

    def _outcome(self, error: BaseException | None) -> str:
        if self._is_complete:
            return "complete"
        return "abandoned" if error is None else "failed"

    def _failure(self, error: BaseException) -> dict[str, str]:
        code = type(error).__name__
        return {"error": self._redactor.text(str(error)) or code, "code": code}

    def _journal_console(self, chunk: Chunk) -> None:
        payload = chunk.payload()
        self._events.event("console_output", self._redactor.value(payload), str(chunk.id))


_thread = threading.local()


def current_recording() -> Recording | None:
    """Return the recording of this thread's training, or None where there is none."""
    return getattr(_thread, "recording", None)


def abandon_previous() -> None:
    """Close this thread's recording that was never torn down, if there is one: a thread runs one training at a time."""
    if previous := current_recording():
        previous.abandon()


def _passed_through(error: BaseException | None, owner: object) -> bool:
    """Return whether an error was raised in, or passed, a method of `owner`."""
    if error is None or owner is None:
        return False
    return any(frame.f_locals.get("self") is owner for frame, _ in traceback.walk_tb(error.__traceback__))


def _say(message: str, level: int = logging.INFO) -> None:
    from ultralytics.utils import LOGGER

    LOGGER.log(level, f"Uploader: {message}")
