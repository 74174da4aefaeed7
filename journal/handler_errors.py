"""Tells errors that a signal handler raised from errors of the code that it interrupted.

A handler runs in the main thread, between any two instructions, and what it raises (a time limit, a second Ctrl-C)
seems to come from these. Code that swallows or replaces errors has to check this first.
"""

from __future__ import annotations

import signal
import threading
import traceback
from collections.abc import Callable
from functools import partial
from importlib import import_module
from types import CodeType
from typing import Any

_known: set[CodeType] = set()
_NUMBERS = tuple(map(int, signal.valid_signals()))
# What `signal.getsignal` calls; that makes a member of an enum of each answer, which takes sixty times as long.
_handler_of: Callable[[int], Any] = import_module("_signal").getsignal


def register_handlers() -> None:
    """Note the installed handlers, as one may replace itself before it raises; this takes about 2 µs."""
    if threading.current_thread() is threading.main_thread():
        handlers = filter(callable, map(_handler_of, _NUMBERS))
        _known.update(code for handler in handlers if (code := _code(handler)) is not None)


def raised_in_handler(error: BaseException) -> bool:
    """Return whether an error was raised in a signal handler that is written in Python."""
    if threading.current_thread() is not threading.main_thread():
        return False
    register_handlers()
    return any(frame.f_code in _known for frame, _ in traceback.walk_tb(error.__traceback__))


def _code(handler: Any) -> CodeType | None:
    """Return the code that runs when a handler is called: a function, method, partial or callable object."""
    while isinstance(handler, partial):
        handler = handler.func
    code = getattr(handler, "__code__", None) or getattr(handler.__call__, "__code__", None)
    return code if isinstance(code, CodeType) else None
