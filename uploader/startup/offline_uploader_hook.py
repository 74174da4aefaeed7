"""The import hook: has trainings recorded once Ultralytics is imported; importing this module installs it.

It costs a Python that never imports Ultralytics nothing but one look at each name that is imported, so it imports
nothing itself. What records is imported when something trains.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # the module `typing` is slow to import
    from collections.abc import Callable
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

_TRAINING_METHODS = {
    "ultralytics.engine.model": ("Model", ("train", "tune")),
    "ultralytics.engine.trainer": ("BaseTrainer", ("train",)),
}
"""The methods of upstream that train, by the module and class that have them."""


class _Hook:
    """Finds no module itself: it waits for those with the methods that train."""

    def find_spec(self, name: str, path: "Any" = None, target: "Any" = None) -> "ModuleSpec | None":
        """Return what the other finders find, and arrange that the module's methods are replaced when it has run."""
        if name not in _TRAINING_METHODS:
            return None
        finders = (each for each in sys.meta_path if each is not self)
        found = (each.find_spec(name, path, target) for each in finders if hasattr(each, "find_spec"))
        spec = next((each for each in found if each is not None), None)
        if spec is not None and spec.loader is not None:
            _call_after(spec.loader, name, _replace_methods)
        return spec


def _call_after(loader: "Any", name: str, then: "Callable[[ModuleType], None]") -> None:
    """Call a function with the module of this name when a loader has executed it; others may have the same loader."""
    execute = loader.exec_module

    def exec_module(module: "ModuleType") -> None:
        execute(module)
        if module.__name__ == name:
            loader.exec_module = execute
            then(module)

    loader.exec_module = exec_module


def _replace_methods(module: "ModuleType") -> None:
    class_name, methods = _TRAINING_METHODS[module.__name__]
    owner = getattr(module, class_name, None)
    for name in methods:
        if callable(method := getattr(owner, name, None)):
            setattr(owner, name, _recorded(method, name))


def _recorded(method: "Callable[..., Any]", name: str) -> "Callable[..., Any]":
    """Return a method that does what another does, and has what that trains recorded."""
    from functools import wraps

    @wraps(method)
    def train(owner: "Any", *arguments: "Any", **options: "Any") -> "Any":
        if (call := _recording_call()) is None:
            return method(owner, *arguments, **options)
        return call(owner, name, method, arguments, options)

    return train


def _recording_call() -> "Callable[..., Any] | None":
    """Return what calls a method and records it; None, and a warning, where this Python has no uploader."""
    try:
        from uploader.callbacks.recorded_calls import call
    except Exception as error:  # noqa: BLE001 - whatever it is, the training begins
        _tell_once(
            f"Uploader: what this process trains is not recorded ({type(error).__name__}: {error}). Is "
            f"offline-uploader installed for {sys.executable}? Install it there as for the Python that runs `uploader "
            "exec`.\n"
        )
        return None
    return call


_told: "set[str]" = set()


def _tell_once(text: str) -> None:
    if text not in _told:
        _told.add(text)
        sys.stderr.write(text)


sys.meta_path.insert(0, _Hook())
