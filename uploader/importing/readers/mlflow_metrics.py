"""Reads one metric of MLflow's file store: in each line a time in milliseconds, a value and a step."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from uploader.importing.imported_run import Problem
from uploader.importing.readers.moments import moment


def read_metric(file: Path, what: str, problems: list[Problem]) -> Iterator[tuple[datetime | None, float, int]]:
    """Yield time, value and step of each line that is whole.

    A last line without its end is left out: what is there of a number may be a part of it.

    Args:
        file: The metric's.
        what: Its name in problems.
        problems: Gets what cannot be read.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        problems.append(Problem(what, f"cannot be read: {error}"))
        return
    if not content:
        problems.append(Problem(what, "is empty"))
    at, read = 0, 0
    for line in content.splitlines(keepends=True):
        value = _value(line)
        if value is not None:
            yield value
            read += 1
        elif line.strip():
            why = "torn" if not line.endswith(b"\n") else "no value of MLflow's"
            problems.append(Problem(what, f"the line at byte {at} is {why}; {read} values before it were read"))
        at += len(line)


def _value(line: bytes) -> tuple[datetime | None, float, int] | None:
    parts = line.decode(errors="replace").split()
    if not line.endswith(b"\n") or len(parts) not in (2, 3, 5):
        return None
    try:
        at = moment(int(parts[0]), per_second=1000)
        return at, float(parts[1]), int(parts[2]) if len(parts) > 2 else 0
    except ValueError:
        return None
