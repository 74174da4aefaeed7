"""Telling what a signal handler has raised from an error of whatever it has interrupted.

A handler runs in the main thread, between any two instructions, and what it raises (a time limit, a second Ctrl-C)
comes out of those as if it were theirs. Whoever replaces errors by something else asks here first.
"""

from __future__ import annotations

import signal
import threading
import traceback
from functools import partial
from types import CodeType
from typing import Any

_known: set[CodeType] = set()


def register_handlers() -> None:
    """Take notice of the handlers that are installed: one may replace itself before it raises. It costs some 10 µs."""
    if threading.current_thread() is threading.main_thread():
        handlers = (signal.getsignal(number) for number in signal.valid_signals())
        _known.update(code for handler in handlers if (code := _code(handler)) is not None)


def raised_in_handler(error: BaseException) -> bool:
    """Return whether an error was raised in a signal handler, one written in Python."""
    if threading.current_thread() is not threading.main_thread():
        return False
    register_handlers()
    return any(frame.f_code in _known for frame, _ in traceback.walk_tb(error.__traceback__))


def _code(handler: Any) -> CodeType | None:
    """Return what runs when a handler is called: a function, a method, a partial or an object that can be called."""
    while isinstance(handler, partial):
        handler = handler.func
    if not callable(handler):
        return None
    code = getattr(handler, "__code__", None) or getattr(handler.__call__, "__code__", None)
    return code if isinstance(code, CodeType) else None
