"""How far one event is from straight: what `scripts/trace` counts, as docs/design.md tells it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
MOST_OUT = 95
"""Changes of file from the read that takes an event off the journal to the end of the transaction that settles it."""
MOST_OF_A_DRAIN = 600


def test_the_way_out_stays_straight() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    command = [sys.executable, "-m", "traces"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in done.stdout.splitlines()[2:]]
    calls = {way: int(number) for way, number, _, _ in rows}
    assert 0 < calls["in"] < calls["out"] < calls["drain"]
    changes = {way: int(of_file) for way, _, _, of_file in rows}
    assert changes["out"] <= MOST_OUT
    assert changes["drain"] <= MOST_OF_A_DRAIN
