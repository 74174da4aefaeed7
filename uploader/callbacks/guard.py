"""Keeps every error of ours out of the training."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any, TypeVar

Self = TypeVar("Self")
Value = TypeVar("Value")
_log = logging.getLogger("ultralytics")


def guarded(callback: Callable[[Self, Any], None]) -> Callable[[Self, Any], None]:
    """Make a callback that never raises into the trainer.

    The first error of each callback of a training is logged as a warning; later ones of the same callback, which
    would repeat each epoch, only at debug level. What is no `Exception` (KeyboardInterrupt, SystemExit) passes.
    """

    @functools.wraps(callback)
    def safe(self: Self, trainer: Any) -> None:
        try:
            callback(self, trainer)
        except Exception as error:  # noqa: BLE001 - any error of ours ends here
            _report(trainer, callback.__name__, error)

    return safe


def attempt(what: str, part: Callable[[], Value]) -> Value | None:
    """Return what `part` returns, or None where it fails: one part must not take the rest with it.

    Args:
        what: The part's name, for the warning.
        part: Reads what others have installed, set up or overridden, and may fail in any way.
    """
    try:
        return part()
    except Exception as error:  # noqa: BLE001
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
