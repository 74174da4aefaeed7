"""Keeps every error of ours out of the training, and everything else in its way."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any, TypeVar

from journal.handler_errors import raised_in_handler
from uploader.recording.serial_executor import Job, executor

Self = TypeVar("Self")
Value = TypeVar("Value")
_log = logging.getLogger("ultralytics")


def guarded(callback: Callable[[Self, Any], None]) -> Callable[[Self, Any], None]:
    """Make a callback that never raises into the trainer, and that nothing which is raised there can stop halfway.

    It costs a new thread, about a tenth of a millisecond: nothing for what happens at each batch. The first error of
    each callback of a training is logged as a warning; later ones of the same callback, which would repeat each epoch,
    only at debug level. What is no `Exception` (KeyboardInterrupt, SystemExit) passes, and so does whatever a signal
    handler raises.
    """

    @functools.wraps(callback)
    def safe(self: Self, trainer: Any) -> None:
        guard(trainer, callback.__name__, lambda: callback(self, trainer))

    return safe


def guard(training: object, name: str, job: Job, when_interrupted: Job | None = None) -> None:
    """Do a job as `guarded` has a callback done.

    Args:
        training: Whose errors are counted.
        name: What is said to be not recorded where it fails.
        job: What is to be done.
        when_interrupted: Called when the wait for it is interrupted.
    """
    if (error := executor().run(job, when_interrupted)) is not None:
        _report(training, name, error)


def optional(what: str, part: Callable[[], Value]) -> Value | None:
    """Return what `part` returns, or None where it fails: one part must not take the rest with it.

    Args:
        what: The part's name, for the warning.
        part: Reads what others have installed, set up or overridden, and may fail in any way.
    """
    try:
        return part()
    except Exception as error:
        if raised_in_handler(error):
            raise
        _log.warning("Uploader: %s cannot be recorded (%s: %s)", what, type(error).__name__, error)
        return None


def _report(trainer: Any, name: str, error: Exception) -> None:
    reported = trainer.__dict__.setdefault("_uploader_errors", set())
    level = logging.DEBUG if name in reported else logging.WARNING
    reported.add(name)
    _log.log(
        level,
        "Uploader: %s was not recorded in full, training goes on (%s: %s)",
        name,
        type(error).__name__,
        error,
    )
