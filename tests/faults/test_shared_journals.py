"""Drains of a shared journal, and its server, are killed. `scripts/soak shared` runs the full number."""

from __future__ import annotations

from pathlib import Path

import pytest
from soaks import shared_journals
from soaks.network_tally import NetworkTally

SEED = 16
ROUNDS = 3


@pytest.mark.skipif(shared_journals.why_not() is not None, reason="no PostgreSQL server can be started")
@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # connections of a server that was killed
def test_nothing_is_lost_doubled_or_torn(tmp_path: Path) -> None:
    tally = NetworkTally()
    for one in shared_journals.run(ROUNDS, SEED, tmp_path):
        tally.add(one)
    assert (tally.lost, tally.damaged) == (0, 0), tally.notes
    assert tally.rounds == ROUNDS
