"""A contender: one operation in a separate process, run on request and timed there.

All contenders start in the same way, with a new interpreter, and share no memory, threads or locks with each other.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from benches.measure import seconds

Operation = Callable[[], object]
Opening = Callable[[Path], AbstractContextManager[Operation]]
"""Opens what the operation works on, in a folder, until the context ends; importable by name."""

START_SECONDS = 120.0


@contextmanager
def contender(opening: Opening, folder: Path, block: int) -> Iterator[Callable[[], list[float]]]:
    """Start a process and yield a function that runs a block of operations in it and returns their times (seconds).

    Args:
        opening: What to open in it.
        folder: Its folder; created here.
        block: How many operations each call runs, back to back.

    Raises:
        RuntimeError: The process ended, or did not answer.
    """
    folder.mkdir(parents=True)
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(opening, folder, there))
    process.start()
    there.close()

    def run() -> list[float]:
        here.send(block)
        if not here.poll(START_SECONDS):
            raise RuntimeError(f"{opening.__name__} did not answer")
        times: list[float] = here.recv()
        return times

    try:
        run()  # imports, caches, first pages
        yield run
    except EOFError as error:
        raise RuntimeError(f"{opening.__name__} ended; the reason is above") from error
    finally:
        here.close()
        process.join()


@contextmanager
def contenders(
    openings: dict[str, Opening], folder: Path, block: int
) -> Iterator[dict[str, Callable[[], list[float]]]]:
    """Start several contenders, each with its own folder."""
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(contender(opening, folder / str(number), block))
            for number, (name, opening) in enumerate(openings.items())
        }


def _serve(opening: Opening, folder: Path, pipe: Connection) -> None:
    with opening(folder) as operation:
        while True:
            try:
                count = pipe.recv()
            except EOFError:
                return
            pipe.send([seconds(operation) for _ in range(count)])
