"""Count the calls that one epoch's event takes, and how often they lead into another file.

Three paths through the functions of `journal` and `uploader` on the main thread, one request at a time:

* in: from the recorder's `event` to its return, including our thread that does the work;
* out: from the read that takes the event from the journal to the end of the transaction that settles its delivery;
* drain: the whole `run` of the drain around it.

A change of file is a step (a call or a return) in another file than the step before it.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any

import journal
from journal.outbox import settling
from journal.outbox.backlog import Backlogs
from journal.outbox.settling import Settlement
from uploader.delivery import drain as drains
from uploader.delivery import progress_telling
from uploader.delivery.drain import Drain
from uploader.delivery.drain_options import DrainOptions
from uploader.recording.journal_options import JournalOptions
from uploader.recording.recorder import Recorder
from uploader.server.running import running
from uploader.settings import Settings

ROOT = Path(__file__).parents[2]
PACKAGES = tuple(f"{ROOT / name}{os.sep}" for name in ("journal", "uploader"))
BEGINS, ENDS = Backlogs.read.__code__, Settlement.record.__code__
"""The way out: from the call of the one that found the event to the return of the other that settled its delivery."""
SETTLES = settling._settlement.__code__
"""Called for each outcome that is written: the drain has one."""


@dataclass(frozen=True)
class Step:
    """A call of a function, or a return from it; `outcome` is what it returned."""

    event: str
    file: str
    name: str
    code: Any = field(repr=False)
    outcome: Any = field(repr=False, default=None)


@contextmanager
def traced(*, with_threads: bool = False) -> Iterator[list[Step]]:
    """Record the steps of this thread through our packages while the block runs.

    Args:
        with_threads: Also record those of threads that are started meanwhile.
    """
    steps: list[Step] = []

    def note(frame: FrameType, event: str, argument: object) -> None:
        code = frame.f_code
        if event in {"call", "return"} and code.co_filename.startswith(PACKAGES):
            file = str(Path(code.co_filename).relative_to(ROOT))
            steps.append(Step(event, file, code.co_name, code, argument if event == "return" else None))

    sys.setprofile(note)
    threading.setprofile(note if with_threads else None)
    try:
        yield steps
    finally:
        threading.setprofile(None)
        sys.setprofile(None)


def way_out(steps: list[Step]) -> list[Step]:
    """Return the part of a drain's steps from the read of its one event to the delivery's settlement."""
    found = [
        i for i, step in enumerate(steps) if step.code is BEGINS and step.event == "return" and step.outcome.events
    ]
    begin = max(i for i, step in enumerate(steps[: found[0]]) if step.code is BEGINS and step.event == "call")
    settled = [i for i, step in enumerate(steps) if step.code is SETTLES and step.event == "call"]
    ends = (i for i, step in enumerate(steps) if i > settled[0] and step.code is ENDS and step.event == "return")
    return steps[begin : next(ends) + 1]


def changes(steps: list[Step]) -> int:
    """Return how often a step is in another file than the step before it."""
    return sum(one.file != other.file for one, other in pairwise(steps))


def row(name: str, steps: list[Step]) -> str:
    """Return a row of the table."""
    calls = sum(step.event == "call" for step in steps)
    return f"| {name} | {calls} | {len({step.file for step in steps})} | {changes(steps)} |"


def drained(folder: Path, settings: Settings) -> list[Step]:
    """Drain a journal and return its steps, without those that a drain takes every second, however long it waits."""
    drains.TICK_SECONDS = progress_telling.EVERY_SECONDS = 3600.0
    with journal.open(folder) as opened, closing(opened.outbox()) as outbox:
        drain = Drain(opened, outbox, settings, DrainOptions(parallel=1, uploads=1))
        with traced() as steps:
            summary = drain.run()
    assert summary.exit_code == 0, summary
    return steps


@contextmanager
def recorded(folder: Path, save_dir: Path) -> Iterator[Recorder]:
    """Begin a training in a journal, and end it after the block."""
    recorder = Recorder.start(JournalOptions(str(folder)), project="p", name="n", save_dir=save_dir, resume=False)
    recorder.event("training_started", {"trainArgs": {}, "epochs": 2, "environment": {}}, "1")
    yield recorder
    recorder.finish("complete")


def main() -> None:
    """Record a start and two epochs, and follow the second one."""
    parser = argparse.ArgumentParser(
        prog="scripts/trace", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--steps", action="store_true", help="print each step, too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, running(Path(name) / "platform", api_key="k" * 40) as server:
        folder = Path(name) / "journal"
        os.environ.update(
            UPLOADER_FALLBACK=f"{name}/fallback",
            ULTRALYTICS_PLATFORM_URL=server.url,
            ULTRALYTICS_API_KEY=server.api_key,
        )
        with recorded(Path(name) / "in", Path(name)) as recorder:  # a log that nobody has just folded, as usual
            recorder.event("epoch_end", {"epoch": 0, "metrics": {"loss": 1.0}}, "0")
            with traced(with_threads=True) as steps_in:  # our thread does the work, and the caller waits for it
                recorder.event("epoch_end", {"epoch": 1, "metrics": {"loss": 0.5}}, "1")
        with recorded(folder, Path(name)) as recorder:
            recorder.event("epoch_end", {"epoch": 0, "metrics": {"loss": 1.0}}, "0")
            drained(folder, Settings.load())
            recorder.event("epoch_end", {"epoch": 1, "metrics": {"loss": 0.5}}, "1")
            whole = drained(folder, Settings.load())
    ways = {"in": steps_in, "out": way_out(whole), "drain": whole}
    print(
        "| way | calls | files | changes of file |\n|---|---|---|---|", *(row(*way) for way in ways.items()), sep="\n"
    )
    if arguments.steps:
        for name, steps in ways.items():
            print(f"\n{name}:", *(f"  {step.event:6} {step.file}:{step.name}" for step in steps), sep="\n")


main()
