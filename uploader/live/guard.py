"""Keeps our errors out of the training, and lets everybody else's through."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any, TypeVar

from journal.handler_errors import raised_in_handler
from uploader.recording.serial_executor import CallerTask, Job, executor

Self = TypeVar("Self")
Value = TypeVar("Value")
Part = TypeVar("Part", bound="CallerTask[Any] | None")
_log = logging.getLogger("ultralytics")


def guarded(callback: Callable[[Self, Any], None]) -> Callable[[Self, Any], None]:
    """Make a callback that raises no error into the trainer, and that no signal handler can stop halfway.

    It costs two changes of threads, which is too much for each batch. The first error of each callback of a training is
    logged as a warning; later ones of the same callback, which may recur each epoch, at debug level only.
    KeyboardInterrupt, SystemExit and whatever a signal handler raises are passed on.
    """

    @functools.wraps(callback)
    def safe(self: Self, trainer: Any) -> None:
        guard(trainer, callback.__name__, lambda: callback(self, trainer))

    return safe


def guarded_after(
    reads: Callable[[Any], Part],
) -> Callable[[Callable[[Self, Any, Part], None]], Callable[[Self, Any], None]]:
    """Make a callback as `guarded` does, one that begins with reading the trainer.

    Args:
        reads: Returns that part of the callback, which the trainer's thread does at once; None if there is nothing to
            be read before the callback has begun. The callback is given it.
    """

    def decorate(callback: Callable[[Self, Any, Part], None]) -> Callable[[Self, Any], None]:
        @functools.wraps(callback)
        def safe(self: Self, trainer: Any) -> None:
            first = reads(trainer)
            guard(trainer, callback.__name__, lambda: callback(self, trainer, first), first=first)

        return safe

    return decorate


def guard(
    training: object,
    name: str,
    job: Job,
    when_interrupted: Job | None = None,
    first: CallerTask[Any] | None = None,
) -> None:
    """Do a job as `guarded` does a callback.

    Args:
        training: Whose errors are counted.
        name: What the log message names when the job fails.
        job: What is to be done.
        when_interrupted: Called when the wait for the job is interrupted.
        first: The part of the job that it begins with, if that is one for the calling thread.
    """
    if (error := executor().run(job, when_interrupted, first=first)) is not None:
        _report(training, name, error)


def optional(what: str, part: Callable[[], Value]) -> Value | None:
    """Return what `part` returns, or None when it fails, so that one part cannot cost the rest.

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
