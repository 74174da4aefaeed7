"""The power goes while a training writes. `scripts/soak` runs the full numbers."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from soaks import cuts
from soaks.ledger import total
from soaks.volumes import why_no_volume

SEED = 11
why_not = cache(why_no_volume)


@pytest.fixture(params=["ext4", "xfs"])
def file_system(request: pytest.FixtureRequest) -> str:
    if reason := why_not(request.param):
        pytest.skip(reason)
    return request.param


def test_nothing_acknowledged_is_lost_to_a_power_cut(file_system: str, tmp_path: Path) -> None:
    tally = total(cuts.run(file_system, 12, SEED, tmp_path))
    assert (tally.lost, tally.damaged) == (0, 0), tally.notes
    assert tally.rounds == 12
    assert tally.events > 20


def test_durability_process_loses_the_newest_events_and_nothing_else(file_system: str, tmp_path: Path) -> None:
    tally = total(cuts.run(file_system, 12, SEED, tmp_path, "process"))
    assert tally.damaged == 0, tally.notes
    assert 0 < tally.lost < tally.events
