"""Signal handlers that raise in the midst of anything, as a task queue's time limit does."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Alarm(Exception):
    """The time limit of a task queue, such as Celery's, is an `Exception`."""


def alarm_main() -> None:
    """Have the main thread run its handler of SIGALRM."""
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGALRM)


@contextmanager
def on_alarm(handler: Callable[..., object]) -> Iterator[None]:
    """Have SIGALRM handled so."""
    before = signal.signal(signal.SIGALRM, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, before)


@contextmanager
def raising_on_alarm(error: type[BaseException] = Alarm) -> Iterator[None]:
    """Have SIGALRM handled by raising this."""

    def raise_it(*_: object) -> None:
        raise error

    with on_alarm(raise_it):
        yield


class RepeatedAlarm:
    """A handler that is called again and again, and raises once each time that it is armed."""

    is_armed = False

    def __call__(self, *_: object) -> None:
        if self.is_armed:
            self.is_armed = False
            raise Alarm


@contextmanager
def repeated_alarm() -> Iterator[RepeatedAlarm]:
    """Have SIGALRM raised every few tenths of a millisecond."""
    alarm = RepeatedAlarm()
    with on_alarm(alarm):
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0003)
        try:
            yield alarm
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
