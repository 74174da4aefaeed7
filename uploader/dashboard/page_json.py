"""What the dashboard shows, as JSON values for its scripts. Pure functions.

Lists of runs come as columns, because thousands of objects with the same names would be several times as long.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from uploader.dashboard.shown import Picture, RunLine, RunList, RunNews

_FIRST = 3  # curves that fit beside each other
_PLAIN = (
    "key",
    "name",
    "project",
    "state",
    "trouble",
    "tags",
    "started_at",
    "ended_at",
    "heard_at",
    "seconds",
    "epochs_done",
    "epochs_planned",
    "step",
)


def run_list(found: RunList) -> dict[str, Any]:
    """Return a list of runs: a column for each field, metric and argument.

    An argument that is the same for all runs stands once, in `constants`.
    """
    runs = found.runs
    arguments = _columns(runs, lambda run: run.arguments)
    same = {name: values[0] for name, values in arguments.items() if len(runs) > 1 and _is_constant(values)}
    return {
        "cursor": found.cursor,
        "count": len(runs),
        "fields": {name: [getattr(run, name) for run in runs] for name in _PLAIN},
        "metrics": _columns(runs, lambda run: run.metrics),
        "arguments": {name: values for name, values in arguments.items() if name not in same},
        "constants": same,
        "gone": list(found.gone),
    }


def run_changes(found: RunList) -> dict[str, Any]:
    """Return what has changed of a list of runs: an object for each run, with its arguments if they have changed."""
    runs = [{name: value for name, value in asdict(run).items() if name != "arguments" or value} for run in found.runs]
    return {"cursor": found.cursor, "runs": runs, "gone": list(found.gone), "is_whole": found.is_whole}


def news(found: RunNews) -> dict[str, Any]:
    """Return what is new of a run, without what has not changed."""
    told = {name: value for name, value in asdict(found).items() if value not in (None, "", False)}
    return {name: value for name, value in told.items() if not (name in ("epochs", "system") and not value["at"])}


def change(found: RunNews) -> dict[str, Any]:
    """Return what is new of a run for a page that is open: of its line neither arguments nor metrics.

    They stand in its facts and in its epochs.
    """
    told = news(found)
    if found.line:
        told["line"] = {name: value for name, value in told["line"].items() if name not in ("arguments", "metrics")}
    return told


def first_curves(found: RunNews) -> dict[str, Any]:
    """Return what a comparison shows of a run, with those of its curves that are looked at first.

    Many runs of many metrics would be tens of megabytes; the others are asked for as they come into view.
    """
    names = list(found.epochs.values)
    first = [name for name in names if name.startswith("metrics/")] or names
    line = {name: getattr(found.line, name) for name in (*_PLAIN, "metrics")}
    facts = {name: getattr(found.facts, name) for name in ("arguments", "environment", "best", "evaluation")}
    return {
        "cursor": found.cursor,
        "line": line,
        "facts": facts,
        "names": names,
        "epochs": some_curves(found, first[:_FIRST]),
    }


def some_curves(found: RunNews, names: Sequence[str], *, times: bool = False) -> dict[str, Any]:
    """Return some of a run's curves, and when its epochs happened if that is asked for."""
    values = {name: found.epochs.values[name] for name in names if name in found.epochs.values}
    gaps = {name: found.epochs.gaps[name] for name in values if name in found.epochs.gaps}
    more = {"times": found.epochs.times} if times else {}
    return {"at": found.epochs.at, "values": values, "gaps": gaps, **more}


def pictures(found: Sequence[Picture]) -> list[dict[str, Any]]:
    """Return plots and images."""
    return [{"name": one.name, "step": one.step, "plot": one.plot, "image": one.image} for one in found]


def as_json(value: Any) -> bytes:
    """Return a value as JSON text. A number that is not finite becomes null.

    In ASCII, because a payload may contain a lone surrogate, which UTF-8 cannot encode.
    """
    try:
        text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    except ValueError:
        text = json.dumps(_finite(value), allow_nan=False, separators=(",", ":"))
    return text.encode("ascii")


def _columns(runs: Sequence[RunLine], of: Callable[[RunLine], Mapping[str, Any]]) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for run in runs for name in of(run))
    return {name: [of(run).get(name) for run in runs] for name in names}


def _is_constant(values: Sequence[Any]) -> bool:
    return all(value == values[0] for value in values)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _finite(each) for name, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, (list, tuple)) else value
