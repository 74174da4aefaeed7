"""SIGKILL at any moment, and at each step, of what a training writes. `scripts/soak` runs the full numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
from soaks import kills, steps
from soaks.ledger import total
from soaks.traces import why_no_strace

SEED = 11
NO_STRACE = why_no_strace()


def test_nothing_acknowledged_is_lost_to_sigkill(tmp_path: Path) -> None:
    tally = total(kills.run(80, SEED, tmp_path))
    assert (tally.lost, tally.damaged) == (0, 0), tally.notes
    assert tally.rounds == 80
    assert tally.events > 100
    assert tally.blobs > 0


def test_killed_before_any_line_of_the_journal(tmp_path: Path) -> None:
    tally = total(steps.run_lines(tmp_path, limit=25))
    assert (tally.lost, tally.damaged) == (0, 0), tally.notes
    assert tally.rounds > 15


@pytest.mark.skipif(NO_STRACE is not None, reason=str(NO_STRACE))
def test_killed_at_any_system_call_that_changes_the_disk(tmp_path: Path) -> None:
    tally = total(steps.run_calls(tmp_path, limit=5))
    assert (tally.lost, tally.damaged) == (0, 0), tally.notes
    assert tally.rounds > 15
