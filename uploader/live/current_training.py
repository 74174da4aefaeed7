"""Which training a thread is working on: what the thread prints belongs to that one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from uploader.recording.serial_executor import executor


class Recording(Protocol):
    """What records a training in progress."""

    @property
    def is_open(self) -> bool:
        """Whether the training is under way in this process."""
        ...

    def close(self, error: BaseException | None) -> None:
        """End it, with the error that ended the training."""
        ...

    def abandon(self) -> None:
        """End a training that nobody ended."""
        ...


def make_current(recording: Recording) -> None:
    """Note that this thread is working on a training."""
    trainings = executor().trainings
    if trainings[-1:] != [recording]:
        trainings[:] = [*(one for one in trainings if one is not recording and one.is_open), recording]


def current_recording() -> Recording | None:
    """Return the recording of the training that this thread is working on; None when there is none."""
    return next((one for one in reversed(executor().trainings) if one.is_open), None)


@contextmanager
def closing_trainings(owner: object = None) -> Iterator[None]:
    """Close the trainings that this thread begins in the block and leaves open, with the error that ends the block.

    A call that trains is over when it returns, whatever callbacks upstream has run: older versions run no teardown
    after an error, and no version does before it trains.

    Args:
        owner: The trainer that is called, if it is one: its training had begun before.
    """
    before = [one for one in executor().trainings if one is not getattr(owner, "uploader", None)]
    error: BaseException | None = None
    try:
        yield
    except BaseException as raised:
        error = raised
        raise
    finally:
        for one in [one for one in executor().trainings if one not in before]:
            one.close(error) if error is not None else one.abandon()
