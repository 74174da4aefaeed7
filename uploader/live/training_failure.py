"""How a training failed, as far as its error can be seen."""

from __future__ import annotations

import sys
import traceback
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType, FrameType, FunctionType
from typing import Any

from journal.handler_errors import raised_in_handler
from uploader.redacting import Redactor


@dataclass(frozen=True)
class Failure:
    """How a training failed; keeping the error itself would keep alive every frame that it passed through.

    Attributes:
        error: The error's message, without secrets.
        code: The error's class.
    """

    error: str
    code: str

    def payload(self) -> dict[str, str]:
        """Return the data of the event."""
        return {"error": self.error, "code": self.code}


UNKNOWN_FAILURE = Failure("the training ended before it was complete, and its error was handled elsewhere", "Unknown")
"""The failure of a training that has ended without anybody seeing why."""


def failure(error: BaseException, redactor: Redactor) -> Failure:
    """Return an error as a failure."""
    code = type(error).__name__
    return Failure(redactor.text(_message_of(error)) or code, code)


def _message_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as raised:  # of a class of somebody's
        if raised_in_handler(raised):
            raise
        return ""


def escaped_from(error: BaseException | None, owner: object) -> bool:
    """Return whether an error came out of a method of `owner`, and this thread has left all of its methods.

    Args:
        error: The error, such as one that is being handled.
        owner: An object such as a trainer; None when it is gone.
    """
    if error is None or owner is None:
        return False
    running = _stack()
    # Locals of running frames are not read: a copy of them would stay, and with it the error and all that it passed.
    ended = (frame for frame, _ in traceback.walk_tb(error.__traceback__) if frame not in running)
    if not any(frame.f_locals.get("self") is owner for frame in ended):
        return False
    kind: Any = type(owner)
    methods = _methods(kind)
    return not any(frame.f_code in methods for frame in running)


def _stack() -> list[FrameType]:
    """Return the frames that called this one's caller."""
    frames: list[FrameType] = []
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    return frames


@lru_cache(maxsize=8)
def _methods(kind: type) -> frozenset[CodeType]:
    functions = (value for each in kind.__mro__ for value in vars(each).values() if isinstance(value, FunctionType))
    return frozenset(function.__code__ for function in functions)
