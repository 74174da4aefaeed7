"""Whether a JSON value is of a type that an SDK declares: typed dictionaries, lists, literals and unions of them."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict


def mismatches(value: Any, kind: Any, at: str = "answer") -> Iterator[str]:
    """Yield where a value is not of a type. Keys that a typed dictionary does not name are allowed."""
    origin, inner = get_origin(kind), get_args(kind)
    if is_typeddict(kind):
        yield from _of_dictionary(value, kind, at)
    elif origin in (Union, types.UnionType):
        yield from min((list(mismatches(value, each, at)) for each in inner), key=len)
    elif origin in (list, dict) and isinstance(value, origin):
        parts = value.items() if isinstance(value, dict) else enumerate(value)
        for name, part in parts:
            yield from mismatches(part, inner[-1], f"{at}[{name!r}]")
    elif not (value in inner if origin is Literal else _is_plain(value, kind)):
        yield f"{at} is {value!r}, and no {kind}"


def _of_dictionary(value: Any, kind: Any, at: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{at} is no object"
        return
    for name, declared in get_type_hints(kind).items():
        if name in value:
            yield from mismatches(value[name], declared, f"{at}.{name}")
        elif name in kind.__required_keys__:
            yield f"{at}.{name} is missing"


def _is_plain(value: Any, kind: Any) -> bool:
    if kind is Any:
        return True
    if kind in (None, type(None)):
        return value is None
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(kind, type) and isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
