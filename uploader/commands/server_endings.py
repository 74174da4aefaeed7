"""How a command that serves pages ends: by a signal, or because its server did."""

from __future__ import annotations

import signal
from queue import SimpleQueue
from typing import Literal

import click

Ending = Literal["signal", "failure"]


def caught_signals() -> SimpleQueue[Ending]:
    """Have SIGINT and SIGTERM put a word into the queue that is returned."""
    # Not an Event: its lock could be held by the very thread that the handler interrupts.
    endings: SimpleQueue[Ending] = SimpleQueue()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: endings.put("signal"))
    return endings


def wait_for_end(endings: SimpleQueue[Ending]) -> None:
    """Wait until the server is to end.

    Raises:
        click.ClickException: It has ended by itself.
    """
    if endings.get() == "failure":
        raise click.ClickException("The server ended by itself; the messages above say why")
