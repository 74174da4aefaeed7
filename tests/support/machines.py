"""Several machines on this one: each has a home of its own, and so journals, packs and settings of its own."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.recordings import KEY

from uploader.__main__ import main

Run = Callable[..., tuple[int, str, str]]
"""Runs a command on a machine; returns its exit code and what it prints on the two streams."""


@contextmanager
def machines(folder: Path) -> Iterator[Run]:
    """Yield what runs `uploader` on a machine by its name; at the end, signal handlers are as they were.

    Args:
        folder: Where the homes are.
    """
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def run(machine: str, *arguments: object, url: str = "") -> tuple[int, str, str]:
        home = folder / "homes" / machine
        chosen = {"HOME": str(home), "UPLOADER_FALLBACK": str(home / "fallback")}
        if url:
            chosen |= {"ULTRALYTICS_PLATFORM_URL": url, "ULTRALYTICS_API_KEY": KEY}
        with pytest.MonkeyPatch.context() as patched:
            for name, value in chosen.items():
                patched.setenv(name, value)
            done = CliRunner().invoke(main, list(map(str, arguments)))
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.stdout, done.stderr

    try:
        yield run
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
