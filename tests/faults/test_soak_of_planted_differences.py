"""A share of the suite `planted`; `scripts/soak planted` plants a thousand differences."""

from __future__ import annotations

from pathlib import Path

import pytest
from soaks import planted_differences
from soaks.planted_differences import PlantedTally

pytest.importorskip("ultralytics_platform", reason="the SDK needs Python 3.11")


def test_each_difference_is_found_and_put_right(tmp_path: Path) -> None:
    tally = PlantedTally()
    for one in planted_differences.run(20, 11, tmp_path):
        tally.add(one)
    assert (tally.found, tally.damaged, tally.lost) == (20, 0, 0), tally.notes
    assert tally.mended > 0
