"""A training's numbers, as different places have them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uploader
from uploader.dashboard.shown import RunNews


@dataclass(frozen=True)
class Numbers:
    """The values of each metric epoch by epoch, and of the final evaluation; of a page the last, as it writes them."""

    epochs: Mapping[str, Sequence[Any]]
    evaluation: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of_csv(cls, text: str) -> Numbers:
        rows = list(csv.DictReader(io.StringIO(text)))
        names = [name for name in rows[0] if name not in ("epoch", "recorded_at", "fitness")]
        return cls({name: [float(row[name]) if row[name] else None for row in rows] for name in names})

    def as_read(self) -> Numbers:
        """Return the last value of each metric as pages write it."""
        last = {
            name: [short(next((one for one in reversed(all_) if one is not None), None))]
            for name, all_ in self.epochs.items()
        }
        return Numbers(last, {name: short(value) for name, value in self.evaluation.items()})


def short(value: Any) -> str:
    """Return a number in four digits, trailing zeros left out, as the pages' `short` does."""
    if value is None:
        return ""
    return f"{value:.4g}"


def of_journal(journal: Path) -> Numbers:
    run = uploader.open(journal).run("latest")
    trained, every = run.metrics(), run.metrics(evaluation=True)
    names = [name for name in trained if name not in ("epoch", "recorded_at", "fitness")]
    is_evaluated = len(every["epoch"]) > len(trained["epoch"])
    evaluation = {name: every[name][-1] for name in every if name in names} if is_evaluated else {}
    return Numbers({name: trained[name] for name in names}, {n: v for n, v in evaluation.items() if v is not None})


def of_source(news: RunNews) -> Numbers:
    facts = news.facts
    return Numbers(
        {name: list(values) for name, values in news.epochs.values.items()}, dict(facts.evaluation) if facts else {}
    )


def differences(where: str, one: Numbers, other: Numbers) -> Iterator[str]:
    """Yield what is otherwise; a place that tells no evaluation is not asked for one."""
    for name in sorted({*one.epochs, *other.epochs}):
        if one.epochs.get(name) != other.epochs.get(name):
            yield f"{where}: {name}: {one.epochs.get(name)} is {other.epochs.get(name)}"
    for name in sorted({*one.evaluation, *other.evaluation} if other.evaluation else ()):
        if one.evaluation.get(name) != other.evaluation.get(name):
            yield f"{where}: evaluation of {name}: {one.evaluation.get(name)} is {other.evaluation.get(name)}"
