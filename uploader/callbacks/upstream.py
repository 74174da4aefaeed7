"""Ultralytics' own Platform and HUB callbacks: known, and silenced where they have begun.

They come from dictionaries of the library and are added to every trainer when it is built. They stream the same
training as ours, so that only one of the two may be active.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from typing import Any

from uploader.callbacks.trainer import Callback

_MODULE = "ultralytics.utils.callbacks.platform"
_HUB_MODULE = "ultralytics.utils.callbacks.hub"
_HUB_SESSION = (
    "on_pretrain_routine_start",
    "on_pretrain_routine_end",
    "on_fit_epoch_end",
    "on_model_save",
    "on_train_end",
)
"""Those of upstream's HUB callbacks that report a training; the others send usage events."""


def reporting(event: str, *, hub: bool) -> tuple[Callback, ...]:
    """Return upstream's callbacks for an event that report to Platform, and to HUB where ours report there."""
    found = (_imported(_MODULE).get(event), _hub_session().get(event) if hub else None)
    return tuple(callback for callback in found if callback is not None)


def _hub_session() -> Mapping[str, Callback]:
    """Return upstream's callbacks that report a training to HUB."""
    found = _imported(_HUB_MODULE)
    return {event: found[event] for event in _HUB_SESSION if event in found}


def _imported(module: str) -> Mapping[str, Callback]:
    """Return the callbacks of a module of upstream's; none where it is not imported, so that no list can hold one.

    To import it is the trainer's, after it has seeded the random numbers: 8.3 draws one of them in doing so, and a
    training that was seeded alike would have other results if we had done it before.
    """
    callbacks: Mapping[str, Callback] = getattr(sys.modules.get(module), "callbacks", {})
    return callbacks


def session_model(trainer: Any) -> str | None:
    """Return the id of the HUB model that upstream was given by its URL, `YOLO("https://…/models/ID")`; 8.3 only."""
    model_id = getattr(getattr(getattr(trainer, "hub_session", None), "model", None), "id", None)
    return None if model_id is None else str(model_id)


def started_model(trainer: Any) -> str | None:
    """Return the id of the Platform's model that upstream's start has registered for a trainer, if it ran already."""
    state = getattr(trainer, "platform", None)
    model_id = state.get("model_id") if isinstance(state, dict) else None
    return model_id if isinstance(model_id, str) and model_id else None


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
