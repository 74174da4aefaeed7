"""Machines that are lost in the middle of mirrored trainings. `scripts/soak` runs the full numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
from soaks import lost_machines
from soaks.lost_machines import LostTally

SEED = 11


@pytest.mark.parametrize("sends_late", [False, True])
def test_nothing_that_a_mirror_has_is_lost_with_a_machine(tmp_path: Path, sends_late: bool) -> None:
    tally = LostTally()
    for one in lost_machines.run(9, SEED, tmp_path, sends_late=sends_late):
        tally.add(one)
    assert (tally.lost, tally.damaged) == (0, 0), tally.notes
    assert tally.rounds == 9
    assert tally.mirrored > 30
