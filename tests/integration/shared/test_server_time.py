"""The time of a shared journal's server is told by this machine's clock, however wrong that is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import pytest

from journal.errors import JournalAway
from journal.outbox.server_time import MEASURED_SECONDS, ServerTime

BEGAN = datetime(2026, 11, 28, tzinfo=timezone.utc)
WRONG = timedelta(hours=-3)


@dataclass
class Machine:
    """A machine's two clocks, and the server that it asks."""

    asked: int = 0
    passed: float = 0.0
    slept: float = 0.0
    is_away: bool = False

    def ask(self) -> datetime:
        self.asked += 1
        if self.is_away:
            raise JournalAway("away")
        return BEGAN + timedelta(seconds=self.passed + self.slept)

    def clock(self) -> datetime:
        return BEGAN + WRONG + timedelta(seconds=self.passed + self.slept)

    def steady(self) -> float:
        return self.passed


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def now(machine: Machine) -> ServerTime:
    return ServerTime(machine.ask, clock=machine.clock, steady=machine.steady)


def test_the_server_is_asked_once_a_minute(machine: Machine, now: ServerTime) -> None:
    for second in range(int(MEASURED_SECONDS) + 1):
        machine.passed = second
        assert now() == BEGAN + timedelta(seconds=second)
    assert machine.asked == 1
    machine.passed += 1
    now()
    assert machine.asked == 2


def test_the_server_is_asked_at_once_after_a_sleep_of_the_machine(machine: Machine, now: ServerTime) -> None:
    now()
    machine.slept = 3600.0
    assert now() == BEGAN + timedelta(hours=1)
    assert machine.asked == 2


def test_a_server_that_is_away_is_taken_to_have_the_same_time_as_before(machine: Machine, now: ServerTime) -> None:
    now()
    machine.is_away, machine.passed = True, 100.0
    assert now() == BEGAN + timedelta(seconds=100)


def test_a_server_that_was_never_asked_tells_no_time(machine: Machine, now: ServerTime) -> None:
    machine.is_away = True
    with pytest.raises(JournalAway):
        now()
