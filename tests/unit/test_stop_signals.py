"""What a signal does to a drain, whenever it comes."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from uploader.commands.stop_signals import StopSignals

BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


class Stoppable:
    """Stands for a drain."""

    is_stopped = False

    def stop(self) -> None:
        self.is_stopped = True


@BOTH
def test_one_that_comes_before_anything_is_taken_in_leaves_it_out_and_stops_the_drains(number: signal.Signals) -> None:
    done, drain, stop = [], Stoppable(), StopSignals()
    with stop.heard():
        signal.raise_signal(number)
        stop.break_off(lambda: done.append(1))
        stop.stop([drain])  # type: ignore[list-item]
    assert (done, drain.is_stopped, stop.has_come) == ([], True, True)


@BOTH
def test_one_that_comes_while_something_is_taken_in_breaks_it_off(number: signal.Signals) -> None:
    done, drain, stop = [], Stoppable(), StopSignals()

    def work() -> None:
        done.append("begun")
        signal.raise_signal(number)
        done.append("ended")

    with stop.heard():
        stop.break_off(work)
        stop.stop([drain])  # type: ignore[list-item]
    assert (done, drain.is_stopped) == (["begun"], True)


@BOTH
def test_one_that_comes_between_that_and_the_drains_stops_them(number: signal.Signals) -> None:
    drain, stop = Stoppable(), StopSignals()
    with stop.heard():
        stop.break_off(lambda: None)
        signal.raise_signal(number)
        stop.stop([drain])  # type: ignore[list-item]
    assert drain.is_stopped


@BOTH
def test_one_that_comes_while_they_run_stops_them_and_a_second_one_ends_the_process(number: signal.Signals) -> None:
    drains, stop = [Stoppable(), Stoppable()], StopSignals()
    before: Any = signal.getsignal(number)
    with stop.heard():
        stop.stop(drains)  # type: ignore[arg-type]
        assert not stop.has_come
        signal.raise_signal(number)
        assert signal.getsignal(number) == signal.SIG_DFL
    assert [one.is_stopped for one in drains] == [True, True]
    assert signal.getsignal(number) == before
