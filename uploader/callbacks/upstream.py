"""Ultralytics' own Platform and HUB callbacks: which they are, and how to silence those that have begun.

They come from dictionaries of the library and are added to every trainer when it is built. They would report the same
training as ours, so only one of the two may be active.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Collection, Mapping
from typing import Any

from uploader.callbacks.trainer import Callback
from uploader.live.console_streams import NAMES
from uploader.platforms.registry import PLATFORMS
from uploader.platforms.spec import UpstreamReporting

_REPORTING = tuple((spec.name, spec.upstream) for spec in PLATFORMS if spec.upstream)
_MODULE = next(each.module for _, each in _REPORTING if each.always)
"""The module of upstream that reports every training and captures its console."""
STREAMED_AS = next(spec.model_field for spec in PLATFORMS if spec.upstream and spec.upstream.always)
"""The field of a registration that holds the id of the model that upstream has streamed the run to."""
_DEEPEST = 32
"""How many nested streams are looked through."""


def reporting(event: str, platforms: Collection[str]) -> tuple[Callback, ...]:
    """Return upstream's callbacks for an event that ours replace.

    Args:
        event: The event.
        platforms: Names of the platforms that ours report to.
    """
    found = (_reporting(event, each) for name, each in _REPORTING if each.always or name in platforms)
    return tuple(callback for callback in found if callback is not None)


def _reporting(event: str, of: UpstreamReporting) -> Callback | None:
    return _imported(of.module).get(event) if of.events is None or event in of.events else None


def _imported(module: str) -> Mapping[str, Callback]:
    """Return the callbacks of one of upstream's modules; none if it is not imported, as no list can hold them then.

    The trainer has to import it, after seeding the random numbers: 8.3 draws one in doing so, and a training with the
    same seed would have other results if we had imported it before.
    """
    callbacks: Mapping[str, Callback] = getattr(sys.modules.get(module), "callbacks", {})
    return callbacks


def trained_models(trainer: Any) -> dict[str, str]:
    """Return the ids of the models that a trainer was given to train, by their fields in a registration."""
    known = {spec.model_field: spec.trained_model(trainer) for spec in PLATFORMS if spec.trained_model}
    return {field: model_id for field, model_id in known.items() if model_id}


def started_model(trainer: Any) -> str | None:
    """Return the id of the model that upstream has registered for a trainer, if its start callback has run."""
    state = getattr(trainer, "platform", None)
    model_id = state.get("model_id") if isinstance(state, dict) else None
    return model_id if isinstance(model_id, str) and model_id else None


def silence_upstream(trainer: Any) -> None:
    """Stop what upstream's start callback has begun for this trainer: its console capture and its callbacks' state.

    Versions keep the capture in different places, and some lose it, but the streams refer to it in all of them. They
    refer to those of other trainings, too, which upstream continues to stream.
    """
    for capture in _captures():
        if _is_of(trainer, capture):
            _stop(capture)
    trainer.platform = None


def _captures() -> list[Any]:
    """Return upstream's captures of the console, which are nested, from the one that was begun last."""
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

    If the trainer does not hold it, because upstream's start failed or in 8.3, it is recognized by what it sends:
    chunks with the trainer's project and name, and without a model.
    """
    state = getattr(trainer, "platform", None)
    if isinstance(state, dict) and state.get("console_logger") is not None:
        return state["console_logger"] is capture
    if not inspect.isfunction(capture.on_flush):
        return False
    variables = inspect.getclosurevars(capture.on_flush).nonlocals
    has_model = bool((variables.get("ctx") or {}).get("model_id"))
    return not has_model and (variables.get("project"), variables.get("name")) == _names(trainer)


def _names(trainer: Any) -> tuple[str, str]:
    """Return the project and name that upstream streams a training under; 8.3 has no rule for it."""
    rule = getattr(sys.modules.get(_MODULE), "_get_project_name", None)
    if rule is None:
        return str(trainer.args.project), str(trainer.args.name or "train")
    project, name = rule(trainer)
    return project, name


def _stop(capture: Any) -> None:
    """Stop a capture but keep the streams above it: upstream restores what it found, whatever is there by now."""
    kind = getattr(type(capture), "_ConsoleCapture", None)
    streams = {name: getattr(sys, name) for name in NAMES}
    above = {name: one for name, one in streams.items() if not (type(one) is kind and _owner(one) is capture)}
    with contextlib.suppress(Exception):  # a capture that does not stop must not stop ours
        capture.stop_capture()
    for name, stream in above.items():
        setattr(sys, name, stream)
