"""Attaches by itself: to whatever is about to train below `uploader exec`, or where recording is enabled.

The import hook (`uploader/startup/offline_uploader_hook.py`) calls this instead of the methods of upstream that train.
What a script has attached or detached itself stays as it is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any

from journal.handler_errors import raised_in_handler
from uploader.callbacks.attach import attach
from uploader.callbacks.attachment import call_recorded, is_detached
from uploader.callbacks.callback_lists import RecordedLists
from uploader.callbacks.trainer_callbacks import PlatformCallbacks
from uploader.errors import SettingsError
from uploader.exec_variables import attach_options, is_wanted

_log = logging.getLogger("ultralytics")
_is_unwanted: ContextVar[bool] = ContextVar("uploader_unwanted", default=False)
"""Whether this thread is in a training of a model that was detached."""


def call(owner: Any, name: str, start: Callable[..., Any], arguments: Sequence[Any], options: Mapping[str, Any]) -> Any:
    """Call a method of upstream's that trains, and have what it trains recorded.

    Args:
        owner: The model or trainer.
        name: The method's name.
        start: The method.
        arguments: Its positional arguments.
        options: Its keyword arguments.
    """
    if is_detached(owner):
        return _call_unrecorded(owner, start, arguments, options)
    if isinstance(owner.callbacks, RecordedLists) or is_left_out() or not (callbacks := _attached(owner)):
        return start(owner, *arguments, **options)
    return call_recorded(owner, callbacks, name, lambda: start(owner, *arguments, **options))


def _call_unrecorded(
    owner: Any, start: Callable[..., Any], arguments: Sequence[Any], options: Mapping[str, Any]
) -> Any:
    token = _is_unwanted.set(True)
    try:
        return start(owner, *arguments, **options)
    finally:
        _is_unwanted.reset(token)


def is_left_out() -> bool:
    """Return whether this training is not to be recorded, as the environment says or its model was detached."""
    try:
        return _is_unwanted.get() or not is_wanted()
    except SettingsError as error:
        _log.warning("Uploader: this training is recorded (%s)", error)
        return False


def _attached(owner: Any) -> PlatformCallbacks | None:
    """Attach, and return the callbacks; None, and a warning, where that is not possible."""
    try:
        attach(owner, **attach_options())
    except Exception as error:
        if raised_in_handler(error):
            raise
        _log.warning("Uploader: this training is not recorded (%s: %s)", type(error).__name__, error)
        return None
    callbacks: PlatformCallbacks = owner.callbacks.recorder
    return callbacks
