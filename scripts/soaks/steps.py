"""Suites `line` and `call`: one fixed sequence of all writes, killed at each of its steps in turn.

The code under test has no failpoints. A step is a line of Python in `journal/`, counted by a trace function in the
forked writer, or a system call that changes a disk, counted by strace.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from soaks.ledger import Acknowledged, Tally, inspect
from soaks.lines import JOURNAL, DieAtLine, LineCount, OnLine, tracing
from soaks.places import keep_when_found, scratch
from soaks.processes import Child
from soaks.traces import count_calls, spread, start_traced
from soaks.workload import Report, tour

SYSTEM_CALLS = ("openat", "mkdir", "write", "pwrite64", "ftruncate", "fsync", "fdatasync", "rename", "unlink")
_Start = Callable[[Path, int], Child]


def run_lines(keep: Path, limit: int) -> Iterator[Tally]:
    """Kill the sequence before each line of Python in `journal/`, or before `limit` of them, evenly spread.

    Args:
        keep: Folder that journals with a finding are copied to.
        limit: Maximum number of kills.
    """
    yield from _steps(keep / "line", _start_killed_at_line, _count_lines(), limit)


def run_calls(keep: Path, limit: int) -> Iterator[Tally]:
    """Kill the sequence on entry to each call that changes a disk, or to `limit` of each kind; see `run_lines`."""
    calls = count_calls(tour, SYSTEM_CALLS)
    for name in SYSTEM_CALLS:
        yield from _steps(keep / name, partial(_start_killed_at_call, name), calls[name], limit)


def _steps(keep: Path, start: _Start, count: int, limit: int) -> Iterator[Tally]:
    """Kill at steps of `count`; each time, the next sequence on the same journal must succeed."""
    for step in spread(count, limit):
        with scratch() as folder:
            killed = start(folder / "journal", step)
            acknowledged = killed.reap()
            tally = inspect(folder / "journal", acknowledged)
            tally.rounds = 1
            tally.count(acknowledged)
            tally.fail([killed.failure])
            tally.add(_tour_again(folder / "journal", acknowledged))
            keep_when_found(tally, folder, keep.with_name(f"{keep.name}-{step}"))
        yield tally


def _tour_again(folder: Path, acknowledged: list[Acknowledged]) -> Tally:
    after = Child(partial(tour, folder))
    again = after.reap()
    tally = inspect(folder, [*acknowledged, *again])
    tally.fail([after.failure])
    return tally


def _start_killed_at_line(folder: Path, step: int) -> Child:
    return Child(lambda report: _traced_tour(folder, report, DieAtLine(step)))


def _count_lines() -> int:
    """Return how many lines of the journal's own code the sequence executes."""
    count = LineCount()
    with scratch() as folder:
        _traced_tour(folder / "journal", lambda _: None, count)
    return count.lines.total()


def _traced_tour(folder: Path, report: Report, on_line: OnLine) -> None:
    with tracing(on_line, JOURNAL):
        tour(folder, report)


def _start_killed_at_call(name: str, folder: Path, step: int) -> Child:
    return start_traced(partial(tour, folder), name, f"signal=SIGKILL:when={step}")
