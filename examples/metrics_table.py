"""Write a run's metrics as a table, one row per epoch, also while it trains.

python examples/metrics_table.py metrics.csv                # of the latest run
python examples/metrics_table.py metrics.csv demo/t1        # or of another one
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import uploader


def main(file: str, name: str = "latest") -> None:
    """Write the file, and say what is in it."""
    run = uploader.open().run(name)
    columns = run.metrics()  # pandas.DataFrame(columns) or polars.DataFrame(columns) is the same table
    with Path(file).open("w", newline="", encoding="utf-8") as target:
        writer = csv.writer(target)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    print(f"{run.name} is {run.status().state}: {len(columns['epoch'])} epochs of {', '.join(columns)}")
    for checkpoint in run.checkpoints():
        if checkpoint.is_kept:
            arrived = ", ".join(checkpoint.deliveries.values()) or "not planned yet"
            print(f"  {checkpoint.role} of epoch {checkpoint.epoch}: {checkpoint.size} bytes, {arrived}")


if __name__ == "__main__":
    if len(sys.argv) not in {2, 3}:
        sys.exit(__doc__)
    main(*sys.argv[1:])
