"""Ultralytics' own Platform and HUB callbacks: known, and silenced where they have begun.

They come from dictionaries of the library and are added to every trainer when it is built. They stream the same
training as ours, so that only one of the two may be active.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Collection, Mapping
from typing import Any

from uploader.callbacks.console_streams import NAMES
from uploader.callbacks.trainer import Callback
from uploader.platforms.registry import PLATFORMS
from uploader.platforms.spec import UpstreamReporting

_REPORTING = tuple((spec.name, spec.upstream) for spec in PLATFORMS if spec.upstream)
_MODULE = next(each.module for _, each in _REPORTING if each.always)
"""The one that reports every training, and captures the console for it."""
STREAMED_AS = next(spec.model_field for spec in PLATFORMS if spec.upstream and spec.upstream.always)
"""Field of a registration that holds the id of the model that it has streamed the run to."""
_DEEPEST = 32
"""Streams that may stand on one another."""


def reporting(event: str, platforms: Collection[str]) -> tuple[Callback, ...]:
    """Return upstream's callbacks for an event that report a training in the place of which ours do.

    Args:
        event: The event.
        platforms: Names of the platforms that ours report to.
    """
    found = (_reporting(event, each) for name, each in _REPORTING if each.always or name in platforms)
    return tuple(callback for callback in found if callback is not None)


def _reporting(event: str, of: UpstreamReporting) -> Callback | None:
    return _imported(of.module).get(event) if of.events is None or event in of.events else None


def _imported(module: str) -> Mapping[str, Callback]:
    """Return the callbacks of a module of upstream's; none where it is not imported, so that no list can hold one.

    To import it is the trainer's, after it has seeded the random numbers: 8.3 draws one of them in doing so, and a
    training that was seeded alike would have other results if we had done it before.
    """
    callbacks: Mapping[str, Callback] = getattr(sys.modules.get(module), "callbacks", {})
    return callbacks


def trained_models(trainer: Any) -> dict[str, str]:
    """Return the ids of the models that a trainer was given to train, by the field that a registration has for each."""
    known = {spec.model_field: spec.trained_model(trainer) for spec in PLATFORMS if spec.trained_model}
    return {field: model_id for field, model_id in known.items() if model_id}


def started_model(trainer: Any) -> str | None:
    """Return the id of the Platform's model that upstream's start has registered for a trainer, if it ran already."""
    state = getattr(trainer, "platform", None)
    model_id = state.get("model_id") if isinstance(state, dict) else None
    return model_id if isinstance(model_id, str) and model_id else None


def silence_upstream(trainer: Any) -> None:
    """Stop what upstream's start has begun for this trainer: its console capture, and the state its callbacks need.

    Versions keep the capture in different places, and some lose it; the streams know it in all of them. So they do
    those of other trainings, which upstream goes on to stream.
    """
    for capture in _captures():
        if _is_of(trainer, capture):
            _stop(capture)
    trainer.platform = None


def _captures() -> list[Any]:
    """Return upstream's captures of the console, from the one that was begun last; one stands on another."""
    found: list[Any] = []
    for name in NAMES:
        stream = getattr(sys, name)
        for _ in range(_DEEPEST):
            capture = _owner(stream)
            is_upstreams = getattr(getattr(capture, "on_flush", None), "__module__", None) == _MODULE
            if is_upstreams and not any(capture is other for other in found):
                found.append(capture)
            stream = getattr(stream, "original", None)
    return found


def _owner(stream: object) -> Any:
    return getattr(getattr(stream, "callback", None), "__self__", None)


def _is_of(trainer: Any, capture: Any) -> bool:
    """Return whether a capture was begun for this trainer.

    Where the trainer does not hold it, because upstream's start failed or in 8.3, it is told by what it sends: chunks
    under the trainer's project and name, and of no model.
    """
    state = getattr(trainer, "platform", None)
    if isinstance(state, dict) and state.get("console_logger") is not None:
        return state["console_logger"] is capture
    if not inspect.isfunction(capture.on_flush):
        return False
    told = inspect.getclosurevars(capture.on_flush).nonlocals
    has_model = bool((told.get("ctx") or {}).get("model_id"))
    return not has_model and (told.get("project"), told.get("name")) == _names(trainer)


def _names(trainer: Any) -> tuple[str, str]:
    """Return what upstream streams a training under; 8.3 has no rule for it."""
    rule = getattr(sys.modules.get(_MODULE), "_get_project_name", None)
    if rule is None:
        return str(trainer.args.project), str(trainer.args.name or "train")
    project, name = rule(trainer)
    return project, name


def _stop(capture: Any) -> None:
    """Stop a capture, and leave what stands on it: upstream puts back what it found there, whoever is there by now."""
    kind = getattr(type(capture), "_ConsoleCapture", None)
    streams = {name: getattr(sys, name) for name in NAMES}
    above = {name: one for name, one in streams.items() if not (type(one) is kind and _owner(one) is capture)}
    with contextlib.suppress(Exception):  # a capture that does not stop must not stop ours
        capture.stop_capture()
    for name, stream in above.items():
        setattr(sys, name, stream)
