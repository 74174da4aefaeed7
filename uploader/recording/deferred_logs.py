"""Keeps a person's log handlers out of our threads: what these log is handled later, by the thread of the person."""

from __future__ import annotations

import logging
from collections.abc import Callable

LOGGERS = (
    "uploader",
    "ultralytics",
    "journal.writing.fallback_intake",
    "journal.writing.salvaging",
    "journal.checkpoints.salvage",
)
"""The loggers that our threads use. A logger's filter does not see the records of those below it."""


def defer_logs(defer: Callable[[logging.LogRecord], bool]) -> None:
    """Have the records of these loggers offered to a function first; those that it keeps are not handled now.

    Args:
        defer: Returns whether it has kept the record, to have it handled later.
    """

    def is_handled_now(record: logging.LogRecord) -> bool:
        return not defer(record)

    for name in LOGGERS:
        logging.getLogger(name).addFilter(is_handled_now)
