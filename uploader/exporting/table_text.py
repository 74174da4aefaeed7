"""A table of a run's epochs as text: CSV, lines of JSON, and the trainer's own `results.csv`. Pure."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Columns = Mapping[str, Sequence[Any]]
"""A table by its columns, each of as many values as epochs: `epoch`, from 0, `recorded_at`, and a column a metric."""

_NUMBER, _RECORDED, _FITNESS, _RATE = "epoch", "recorded_at", "fitness", "lr"
_TRAINERS_RATE = "lr/pg0"


def as_csv(columns: Columns) -> str:
    """Return the table as CSV (RFC 4180, but for line ends): numbers with all their digits, nothing for None."""
    return _csv(columns, _whole)


def as_json_lines(columns: Columns) -> str:
    """Return an object for each epoch, a line each; what an epoch did not tell is left out of its object."""
    return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in _rows(columns))


def as_results(columns: Columns) -> str:
    """Return the table as `results.csv` has it: epochs from 1, six digits, and no column that the trainer has not.

    The journal keeps neither the seconds since the start nor the learning rates of the groups after the first.
    """
    own = {name: values for name, values in columns.items() if name not in {_RECORDED, _FITNESS, _RATE}}
    own[_NUMBER] = [number + 1 for number in columns[_NUMBER]]
    if _RATE in columns:
        own[_TRAINERS_RATE] = columns[_RATE]
    return _csv(own, _short)


def _csv(columns: Columns, cell: Any) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(map(cell, row) for row in zip(*columns.values(), strict=True))
    return text.getvalue()


def _whole(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (list, dict)) else value


def _short(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else _whole(value)


def _rows(columns: Columns) -> Iterator[dict[str, Any]]:
    for row in zip(*columns.values(), strict=True):
        yield {name: value for name, value in zip(columns, row, strict=True) if value is not None}
