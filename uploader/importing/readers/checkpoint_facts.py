"""What a checkpoint of Ultralytics tells of its training, without torch and without running any code of it.

A file that `torch.save` wrote is a ZIP archive with a pickle, which names classes and functions. Here each of them is
replaced by one that does nothing, and the tensors are not read: so a file from anywhere may be looked at.
"""

from __future__ import annotations

import pickle
import struct
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

_LONGEST = 256 << 20
"""Of the pickle: that of the largest model is a hundredth of it."""
_SAFE = {("collections", "OrderedDict"): OrderedDict, ("builtins", "set"): set, ("__builtin__", "set"): set}
_ERRORS = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    EOFError,
    IndexError,
    RecursionError,
    MemoryError,
    struct.error,
)


class UnreadableCheckpoint(Exception):
    """The file is no whole checkpoint; the message says what is the matter."""


@dataclass(frozen=True)
class CheckpointFacts:
    """What a checkpoint tells.

    Attributes:
        saved_at: When the trainer saved it; that stays when it is stripped or copied.
        is_stripped: Whether its optimizer was removed, which a trainer does when the training is over.
        epoch: Whose weights it has, from 0; None where it is stripped.
        version: Of Ultralytics.
        arguments: The training's.
        metrics: Of the epoch, with its `fitness`.
        best_fitness: The highest until then; None where it is stripped.
        git: The state of the repository.
        class_names: In the order of their indices.
        parameters: How many its model has; None where they cannot be counted.
    """

    saved_at: datetime | None = None
    is_stripped: bool = False
    epoch: int | None = None
    version: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    best_fitness: float | None = None
    git: Mapping[str, Any] = field(default_factory=dict)
    class_names: tuple[str, ...] | None = None
    parameters: int | None = None


def checkpoint_facts(file: Path) -> CheckpointFacts:
    """Return what a checkpoint tells.

    Raises:
        UnreadableCheckpoint: It is not whole, or no checkpoint of Ultralytics.
    """
    try:
        return _facts(_content(file))
    except zipfile.BadZipFile as error:
        raise UnreadableCheckpoint("it is not whole: it ends too early, or never was a checkpoint") from error
    except (*_ERRORS, pickle.UnpicklingError, zlib.error, NotImplementedError) as error:
        raise UnreadableCheckpoint(f"it cannot be read ({type(error).__name__})") from error


def _facts(content: Mapping[str, Any]) -> CheckpointFacts:
    model = content.get("model") or content.get("ema")
    epoch = content.get("epoch")
    numbers = {name: _number(value) for name, value in _mapping(content.get("train_metrics")).items()}
    return CheckpointFacts(
        saved_at=_moment(content.get("date")),
        is_stripped=epoch == -1 and content.get("optimizer") is None,
        epoch=epoch if isinstance(epoch, int) and epoch >= 0 else None,
        version=_text(content.get("version")),
        arguments=_mapping(content.get("train_args")),
        metrics={name: number for name, number in numbers.items() if number is not None},
        best_fitness=_number(content.get("best_fitness")),
        git=_mapping(content.get("git")),
        class_names=_class_names(model),
        parameters=sum(_sizes(model)) or None,
    )


def _content(file: Path) -> Mapping[str, Any]:
    with zipfile.ZipFile(file) as archive:
        [name] = [each for each in archive.namelist() if each.endswith("/data.pkl")]
        if archive.getinfo(name).file_size > _LONGEST:
            raise UnreadableCheckpoint("its description is too large to be read")
        with archive.open(name) as opened:
            content = _Unpickler(opened).load()
    if not isinstance(content, dict) or "train_args" not in content:
        raise UnreadableCheckpoint("it is no checkpoint of a training with Ultralytics")
    return content


class _Inert:
    """Stands for an object of any class: keeps what it was made with, and does nothing."""

    arguments: tuple[Any, ...] = ()
    state: Any = None

    def __new__(cls, *arguments: Any, **_: Any) -> _Inert:
        made = super().__new__(cls)
        made.arguments = arguments
        return made

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __call__(self, *_: Any, **__: Any) -> _Inert:
        return _Inert()

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def append(self, value: Any) -> None:
        """Ignore an element."""

    def extend(self, values: Any) -> None:
        """Ignore elements."""


class _Tensor(_Inert):
    """Stands for a tensor: the third of what it is made of is its shape."""


class _Parameter(_Inert):
    """Stands for a parameter, whose tensor comes first."""


class _Number(_Inert):
    """Stands for a scalar of numpy: its type, then its bytes."""


_KNOWN = {"_rebuild_tensor_v2": _Tensor, "_rebuild_parameter": _Parameter, "scalar": _Number}


class _Unpickler(pickle.Unpickler):
    """Makes plain values, and inert objects of everything else."""

    def find_class(self, module: str, name: str, /) -> Any:
        return _SAFE.get((module, name)) or _KNOWN.get(name, _Inert)

    def persistent_load(self, pid: Any, /) -> Any:
        del pid
        return None


def _sizes(model: Any) -> Iterator[int]:
    """Yield the number of elements of each parameter of a module, and of those within it."""
    state = _mapping(getattr(model, "state", None))
    for parameter in _mapping(state.get("_parameters")).values():
        tensor = parameter.arguments[0] if isinstance(parameter, _Parameter) and parameter.arguments else parameter
        if isinstance(tensor, _Tensor) and len(tensor.arguments) > 2:
            count = 1
            for size in tensor.arguments[2]:
                count *= size
            yield count
    for inner in _mapping(state.get("_modules")).values():
        yield from _sizes(inner)


def _class_names(model: Any) -> tuple[str, ...] | None:
    names = _mapping(getattr(model, "state", None)).get("names")
    values = names.values() if isinstance(names, dict) else names if isinstance(names, list) else ()
    return tuple(map(str, values)) or None


def _moment(value: Any) -> datetime | None:
    """Return the moment of an ISO time; one without a zone is this machine's."""
    try:
        return datetime.fromisoformat(value).astimezone() if isinstance(value, str) else None
    except (ValueError, OverflowError, OSError):
        return None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: Any) -> float | None:
    """Return a number, of Python or of numpy; None for anything else."""
    if isinstance(value, _Number):
        kind, data = value.arguments
        layout = {"f8": "<d", "f4": "<f", "i8": "<q"}.get(kind.arguments[0])
        value = struct.unpack(layout, data)[0] if layout else None
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
