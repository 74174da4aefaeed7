"""`uploader status --watch`: the same again and again, on a screen of its own that is gone when it ends."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from types import FrameType

from uploader.commands.screen import Line, as_rich, console, show

SECONDS = 2.0
"""How often the journal is read."""


def watch_it(look: Callable[[], list[Line]], every: float = SECONDS) -> None:
    """Show the state until somebody ends it: on a terminal in place of what was there, else below.

    Args:
        look: Returns the lines to show.
        every: Seconds between two looks.
    """
    with _ended_by_signals() as over:
        if sys.stdout.isatty() and not console().is_dumb_terminal:
            _on_a_screen(look, over, every)
        else:
            _below(look, over, every)


def _on_a_screen(look: Callable[[], list[Line]], over: SimpleQueue[int], every: float) -> None:
    from rich.text import Text

    shown = look()  # its errors are to stay to be read
    with console().screen(hide_cursor=True) as screen:
        while True:
            screen.update(Text("\n").join(map(as_rich, shown)))
            if _is_over(over, every):
                return
            shown = look()


def _below(look: Callable[[], list[Line]], over: SimpleQueue[int], every: float) -> None:
    """Print the state whenever it has changed."""
    before: list[Line] = []
    while True:
        if (now := look()) != before:
            show([*([Line()] if before else []), *now])
            before = now
        if _is_over(over, every):
            return


@contextmanager
def _ended_by_signals() -> Iterator[SimpleQueue[int]]:
    """Have Ctrl-C and SIGTERM end the watching, and nothing else, so that the terminal is put back as it was."""
    over: SimpleQueue[int] = SimpleQueue()  # no Event: the thread that the handler interrupts may hold its lock

    def end(number: int, frame: FrameType | None) -> None:
        del frame
        over.put(number)

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield over
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_over(over: SimpleQueue[int], seconds: float) -> bool:
    try:
        over.get(timeout=seconds)
    except Empty:
        return False
    return True
