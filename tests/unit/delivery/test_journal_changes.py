"""When to look at a journal again: soon after a change, now and then without one, and never all the time."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path

from uploader.delivery.journal_changes import LOOK_SECONDS, NOTICE_SECONDS, SHARED_SECONDS, looks


class Waits:
    """A clock that only waiting moves; something may happen at a time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.events: dict[float, Callable[[], object]] = {}

    def wait(self, seconds: float) -> None:
        before, self.now = self.now, self.now + seconds
        for at in [at for at in self.events if before < at <= self.now]:
            self.events.pop(at)()


def times(database: Path, waits: Waits, number: int, costs: float = 0.0) -> list[float]:
    found = []
    for _ in islice(looks(database.parent, wait=waits.wait, clock=lambda: waits.now), number):
        found.append(waits.now)
        waits.now += costs
    return found


def test_a_change_is_noticed_soon_and_the_rest_looked_for_now_and_then(tmp_path: Path) -> None:
    database, waits = tmp_path / "journal.db", Waits()
    database.write_bytes(b"1")
    waits.events = {1.0: lambda: database.write_bytes(b"12")}
    first, second, third = times(database, waits, 3)
    assert first == 0.0
    assert 1.0 <= second <= 1.0 + 2 * NOTICE_SECONDS
    assert second + LOOK_SECONDS <= third <= second + LOOK_SECONDS + 2 * NOTICE_SECONDS


def test_what_is_written_while_somebody_looks_is_looked_at(tmp_path: Path) -> None:
    database, waits = tmp_path / "journal.db", Waits()
    looking = looks(database.parent, wait=waits.wait, clock=lambda: waits.now)
    next(looking)
    database.write_bytes(b"written meanwhile")
    next(looking)
    assert waits.now <= 2 * NOTICE_SECONDS


def test_looks_that_take_long_are_rare(tmp_path: Path) -> None:
    database, waits = tmp_path / "journal.db", Waits()
    size = iter(range(1, 10**6))

    def wait(seconds: float) -> None:  # somebody writes all the time
        waits.now += seconds
        database.write_bytes(b"x" * next(size))

    looking, began = looks(database.parent, wait=wait, clock=lambda: waits.now), waits.now
    for _ in islice(looking, 10):
        waits.now += 3.0
    assert (waits.now - began) / 9 >= 10 * 3.0


def test_a_shared_journal_is_looked_at_once_a_second() -> None:
    first, second, third = times(Path("postgresql:/user@host/database/journal.db"), Waits(), 3)
    assert first == 0.0
    assert SHARED_SECONDS <= second <= SHARED_SECONDS + 2 * NOTICE_SECONDS
    assert second + SHARED_SECONDS <= third <= second + SHARED_SECONDS + 2 * NOTICE_SECONDS
