"""Installs our callbacks in a model or trainer, and uninstalls them."""

from __future__ import annotations

import functools
import inspect
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from uploader.callbacks.callback_lists import RecordedLists
from uploader.callbacks.child_processes import recording_child_processes
from uploader.callbacks.trainer_callbacks import PlatformCallbacks
from uploader.live.current_training import closing_trainings

_TRAINING_METHODS = ("train", "tune")
"""Methods that may start trainings in other processes."""
_ATTACHED = "uploader_attached"
"""The attribute that holds the installed callbacks."""
_DETACHED = "uploader_detached"
"""The attribute of what somebody has detached, so that nothing attaches to it by itself."""


class _RecordedMethod:
    """Wraps a method that trains, so that trainings in its child processes are recorded, too.

    It is in the object's own dictionary, and is pickled and copied with the object.
    """

    def __init__(self, owner: Any, name: str) -> None:
        self.owner, self.name = owner, name
        self.before = vars(owner).get(name)
        functools.update_wrapper(self, getattr(type(owner), name))
        del vars(self)["__wrapped__"]  # it takes the object itself, too

    @property
    def __signature__(self) -> inspect.Signature:
        """The wrapped method's signature, for help and editors."""
        return inspect.signature(self._method())

    def __call__(self, *args: Any, **options: Any) -> Any:
        start = self._method()
        callbacks: PlatformCallbacks | None = vars(self.owner).get(_ATTACHED)
        if callbacks is None:  # uninstalled, while somebody else's wrapper still calls this one
            return start(*args, **options)
        if not isinstance(self.owner.callbacks, RecordedLists):  # replaced as a whole
            self.owner.callbacks = RecordedLists(self.owner.callbacks, callbacks)
        return call_recorded(self.owner, callbacks, self.name, lambda: start(*args, **options))

    def _method(self) -> Callable[..., Any]:
        method: Callable[..., Any] = self.before or getattr(type(self.owner), self.name).__get__(self.owner)
        return method


def call_recorded(owner: Any, callbacks: PlatformCallbacks, name: str, start: Callable[[], Any]) -> Any:
    """Call a method that trains: its child processes are recorded, and its trainings are over when it returns.

    Args:
        owner: The model or trainer that the callbacks are installed in.
        callbacks: The callbacks.
        name: The method's name.
        start: Calls it.
    """
    with recording_child_processes(callbacks, name), closing_trainings(owner):
        return start()


def install(owner: Any, callbacks: PlatformCallbacks) -> None:
    """Have a model's or trainer's trainings recorded, replacing what was installed before."""
    uninstall(owner)
    vars(owner).pop(_DETACHED, None)
    owner.callbacks = RecordedLists(owner.callbacks, callbacks)
    vars(owner)[_ATTACHED] = callbacks
    for name in _TRAINING_METHODS:
        if callable(getattr(type(owner), name, None)):
            vars(owner)[name] = _RecordedMethod(owner, name)


def keep_detached(owner: Any) -> None:
    """Remember that somebody wants this model's or trainer's trainings not to be recorded."""
    vars(owner)[_DETACHED] = True


def is_detached(owner: Any) -> bool:
    """Return whether `keep_detached` holds: nothing was installed since."""
    return _DETACHED in vars(owner)


def uninstall(owner: Any) -> bool:
    """Undo `install`; return whether there was anything to undo."""
    for name in _TRAINING_METHODS:
        if isinstance(start := vars(owner).get(name), _RecordedMethod):
            del vars(owner)[name]
            vars(owner).update({name: start.before} if start.before else {})
    was_there = vars(owner).pop(_ATTACHED, None) is not None
    if not isinstance(owner.callbacks, RecordedLists):
        return was_there
    owner.callbacks = defaultdict(list, owner.callbacks)
    return True
