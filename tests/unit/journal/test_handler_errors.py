"""Which errors signal handlers raised: `journal/handler_errors.py`."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from functools import partial
from types import FrameType

import pytest

from journal.handler_errors import raised_in_handler, register_handlers

Handler = Callable[[int, FrameType | None], None]


class TimeLimit(Exception):
    """What a handler raises."""


def _raise(number: int, frame: FrameType | None) -> None:
    raise TimeLimit


class _Object:
    def __call__(self, number: int, frame: FrameType | None) -> None:
        raise TimeLimit

    def method(self, number: int, frame: FrameType | None) -> None:
        raise TimeLimit


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    before = signal.getsignal(signal.SIGUSR1)
    yield
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize("handler", [_raise, partial(_raise), _Object(), _Object().method])
def test_what_a_handler_raises_is_told_from_other_errors(handler: Handler) -> None:
    signal.signal(signal.SIGUSR1, handler)
    with pytest.raises(TimeLimit) as raised:
        signal.raise_signal(signal.SIGUSR1)
    assert raised_in_handler(raised.value)
    assert not raised_in_handler(TimeLimit())


def test_a_handler_that_replaces_itself_was_noted_before() -> None:
    signal.signal(signal.SIGUSR1, _replacing)
    register_handlers()
    with pytest.raises(TimeLimit) as raised:
        signal.raise_signal(signal.SIGUSR1)
    assert raised_in_handler(raised.value)


def _replacing(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    raise TimeLimit


def test_noting_the_handlers_costs_the_training_thread_little() -> None:
    """A callback does so several times; it took more calls than all else that a callback does in that thread."""
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        register_handlers()
    finally:
        sys.setprofile(before)
    assert calls < len(signal.valid_signals())
