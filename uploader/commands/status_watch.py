"""`uploader status --watch`: the same again and again, on a screen of its own that is gone when it ends."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable

from uploader.commands.noticed_signals import NoticedSignals, noticed_signals
from uploader.commands.output_streams import is_anybody_reading
from uploader.commands.screen import Line, as_rich, console, line, show

SECONDS = 2.0
"""How often the journal is read."""


def patiently(look: Callable[[], list[Line]]) -> Callable[[], list[Line]]:
    """Return a look that goes on while a shared journal is away: it returns what was there last, and says so.

    Args:
        look: Returns the lines to show. It raises `JournalAway` where the journal was never there.
    """
    from journal.errors import JournalAway

    last: list[Line] = []
    away: list[Line] = []

    def looked() -> list[Line]:
        nonlocal last, away
        try:
            last, away = look(), []
        except JournalAway as error:
            if not last:
                raise
            away = away or [line(f"{error}; waiting for it")]  # in the words of the first time, which stay
        return [*last, *away]

    return looked


def watch_it(look: Callable[[], list[Line]], every: float = SECONDS) -> None:
    """Show the state until somebody ends it: on a terminal in place of what was there, else below.

    Args:
        look: Returns the lines to show.
        every: Seconds between two looks.
    """
    # Nothing else is to end it, so that the terminal is put back as it was.
    with noticed_signals(signal.SIGINT, signal.SIGTERM, is_second_fatal=False) as over:
        if sys.stdout.isatty() and not console().is_dumb_terminal:
            _on_a_screen(look, over, every)
        else:
            _below(look, over, every)


def _on_a_screen(look: Callable[[], list[Line]], over: NoticedSignals, every: float) -> None:
    from rich.text import Text

    shown = look()  # its errors are to stay to be read
    with console().screen(hide_cursor=True) as screen:
        while True:
            screen.update(Text("\n").join(map(as_rich, shown)))
            if over.came_within(every):
                return
            shown = look()


def _below(look: Callable[[], list[Line]], over: NoticedSignals, every: float) -> None:
    """Print the state whenever it has changed, as long as somebody reads it."""
    before: list[Line] = []
    while True:
        if (now := look()) != before:
            show([*([Line()] if before else []), *now])
            before = now
        if not is_anybody_reading():
            return
        if over.came_within(every):
            return
