"""Ultralytics' own Platform callbacks: found in a trainer, taken out, put back.

They come from one dictionary of the library and are added to every trainer when it is built. Both stream the same
training, so that only one of the two may be active.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from typing import Any

from uploader.callbacks.trainer import Callback, CallbackLists

_MODULE = "ultralytics.utils.callbacks.platform"


def upstream_callbacks() -> Mapping[str, Callback]:
    """Return upstream's callbacks by event; empty where the version has none or no key is set (8.3)."""
    try:
        from ultralytics.utils.callbacks.platform import callbacks
    except ImportError:
        return {}
    return dict(callbacks)


def remove_upstream(lists: CallbackLists) -> None:
    """Take upstream's callbacks out of the lists.

    In place, because a trainer may be iterating over one of them: ours stands before upstream's there, so that the
    iteration goes on with the callback after the removed one.
    """
    for event, callback in upstream_callbacks().items():
        listed = lists.get(event, [])
        listed[:] = [other for other in listed if other is not callback]


def restore_upstream(lists: CallbackLists) -> None:
    """Append upstream's callbacks where they are missing."""
    for event, callback in upstream_callbacks().items():
        listed = lists.setdefault(event, [])
        if not any(other is callback for other in listed):
            listed.append(callback)


def silence_upstream(trainer: Any) -> None:
    """Stop what upstream's start has begun for this trainer: its console capture, and the state its callbacks need."""
    state = getattr(trainer, "platform", None)
    # 8.4 keeps the capture in the trainer's state, 8.3 in the module.
    in_state = state.get("console_logger") if isinstance(state, dict) else None
    in_module = getattr(sys.modules.get(_MODULE), "_console_logger", None)
    for capture in filter(None, (in_state, in_module)):
        with contextlib.suppress(Exception):  # a capture that does not stop must not stop ours
            capture.stop_capture()
    trainer.platform = None
