"""Ultralytics' own Platform and HUB callbacks: found in a trainer, taken out, put back.

They come from dictionaries of the library and are added to every trainer when it is built. They stream the same
training as ours, so that only one of the two may be active.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from typing import Any

from uploader.callbacks.trainer import Callback, CallbackLists

_MODULE = "ultralytics.utils.callbacks.platform"
_HUB_SESSION = (
    "on_pretrain_routine_start",
    "on_pretrain_routine_end",
    "on_fit_epoch_end",
    "on_model_save",
    "on_train_end",
)
"""Those of upstream's HUB callbacks that report a training; the others send usage events."""


def upstream_callbacks() -> Mapping[str, Callback]:
    """Return upstream's callbacks by event; empty where the version has none or no key is set (8.3)."""
    try:
        from ultralytics.utils.callbacks.platform import callbacks
    except ImportError:
        return {}
    return dict(callbacks)


def upstream_hub_callbacks() -> Mapping[str, Callback]:
    """Return upstream's callbacks for HUB by event; empty where the version has none (8.4) or HUB is switched off."""
    try:
        from ultralytics.utils.callbacks.hub import callbacks
    except ImportError:
        return {}
    return {event: callbacks[event] for event in _HUB_SESSION if event in callbacks}


def remove_upstream(lists: CallbackLists, *, hub: bool = False) -> None:
    """Take upstream's callbacks for Platform, and for HUB if ours report there, out of the lists.

    In place, because a trainer may be iterating over one of them: ours stands before upstream's there, so that the
    iteration goes on with the callback after the removed one.
    """
    found = [*upstream_callbacks().items(), *(upstream_hub_callbacks().items() if hub else ())]
    for event, callback in found:
        listed = lists.get(event, [])
        listed[:] = [other for other in listed if other is not callback]


def restore_upstream(lists: CallbackLists) -> None:
    """Append upstream's callbacks where they are missing."""
    for event, callback in upstream_callbacks().items():
        listed = lists.setdefault(event, [])
        if not any(other is callback for other in listed):
            listed.append(callback)


def silence_upstream(trainer: Any) -> None:
    """Stop what upstream's start has begun for this trainer: its console capture, and the state its callbacks need.

    Versions keep the capture in different places, and some lose it; the streams know it in all of them.
    """
    for stream in (sys.stdout, sys.stderr):
        capture: Any = getattr(getattr(stream, "callback", None), "__self__", None)
        if getattr(getattr(capture, "on_flush", None), "__module__", None) == _MODULE:
            with contextlib.suppress(Exception):  # a capture that does not stop must not stop ours
                capture.stop_capture()
    trainer.platform = None
