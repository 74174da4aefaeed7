"""Print the content of a journal with plain Python, without installing anything and without changing it.

python examples/read_journal.py ~/uploader-journal
"""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

RUNS = "SELECT run, name, epochs, last_milestone, events, delivered, pending, dead FROM run_overview ORDER BY name"
CURVE = "SELECT name, epoch, value FROM metrics WHERE run = ? ORDER BY name, epoch"
CHECKPOINTS = "SELECT role, epoch, size, delivery FROM checkpoints WHERE run = ? AND bytes_are = 'present'"


def main(folder: Path) -> None:
    """Print each run, the first and last values of its curves, and its checkpoints."""
    # With mode=ro, a journal can be read while it is written. Never copy journal.db without the -wal file beside it.
    with closing(sqlite3.connect(f"file:{folder / 'journal.db'}?mode=ro", uri=True)) as database:
        database.row_factory = sqlite3.Row
        for run in database.execute(RUNS).fetchall():
            print(f"{run['name']}: {run['epochs']} epochs, {run['events']} events, {run['last_milestone']};", end=" ")
            print(f"{run['delivered']} delivered, {run['pending']} pending, {run['dead']} refused")
            curves: dict[str, list[float]] = {}
            for point in database.execute(CURVE, [run["run"]]):
                curves.setdefault(point["name"], []).append(point["value"])
            for name, values in curves.items():
                print(f"  {name}: {values[0]:.4g} -> {values[-1]:.4g}")
            for file in database.execute(CHECKPOINTS, [run["run"]]):
                arrived = file["delivery"] or "not planned yet"
                print(f"  checkpoint {file['role']} of epoch {file['epoch']}: {file['size']} bytes, {arrived}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]).expanduser().resolve())
