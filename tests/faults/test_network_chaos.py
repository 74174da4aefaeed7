"""Networks that break everything, and drains that are killed. `scripts/soak` runs the full numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
from soaks import network
from soaks.databases import Databases
from soaks.drains import HUB, ULTRALYTICS
from soaks.fault_schedule import EVERYTHING, MAX_FAULTY_ATTEMPTS, SUITABLE, Schedule
from soaks.network_tally import NetworkTally

ON_BOTH_ENGINES = True
SEED = 11


# A form that ends early leaves its file to the garbage collector, in Starlette.
@pytest.mark.filterwarnings("ignore:.*SpooledTemporaryFile:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.once_on_postgres  # and four drains at once, whose server dies too: tests/faults/test_shared_journals.py
@pytest.mark.parametrize("idempotency", [False, True], ids=["as the public platform", "idempotency keys"])
@pytest.mark.parametrize("platforms", [(ULTRALYTICS, HUB), (ULTRALYTICS,), (HUB,)], ids="+".join)
def test_nothing_is_lost_doubled_or_torn(
    platforms: tuple[str, ...], idempotency: bool, databases: Databases | None, tmp_path: Path
) -> None:
    tally = NetworkTally()
    for one in network.run(8, SEED, tmp_path, platforms=platforms, idempotency=idempotency, databases=databases):
        tally.add(one)
    assert (tally.lost, tally.damaged) == (0, 0), tally.notes
    assert tally.rounds == 8
    assert tally.kills > 1
    assert len(tally.faults) > 8


def test_a_schedule_is_its_seed() -> None:
    requests = [(call, f"{call} {number}", attempt) for call in EVERYTHING for number in range(9) for attempt in (1, 2)]
    first, again, other = (Schedule(seed, 0.5) for seed in ("1", "1", "2"))
    assert [first.fault(*one) for one in requests] == [again.fault(*one) for one in reversed(requests)][::-1]
    assert [first.fault(*one) for one in requests] != [other.fault(*one) for one in requests]


def test_every_fault_happens_to_what_it_suits_and_ends() -> None:
    storm = Schedule("1", 1.0)
    seen = {(storm.fault(call, str(number), 1), call) for call in EVERYTHING for number in range(500)}
    assert seen == {(fault, call) for fault, calls in SUITABLE.items() for call in calls}
    assert storm.fault("put", "1", MAX_FAULTY_ATTEMPTS + 1) is None
