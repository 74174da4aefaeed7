"""Suites `cut-ext4` and `cut-xfs`: the power goes while a training writes; the machine comes back and looks.

The file system is shut down without flushing its log, so what was not forced out is gone, as when the power goes. What
this does not show: a disk that acknowledges a flush and keeps the bytes in a volatile cache.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random

from soaks.ledger import Acknowledged, Tally, inspect
from soaks.places import keep_when_found
from soaks.processes import Child, spin
from soaks.volumes import LoopVolume, loop_volume
from soaks.workload import Durability, write_until_killed


def run(file_system: str, cuts: int, seed: int, keep: Path, durability: Durability = "full") -> Iterator[Tally]:
    """Yield the figures of each cut.

    Args:
        file_system: `ext4` or `xfs`.
        cuts: How often the power goes.
        seed: Decides what is written and when the power goes, as far as the scheduler lets it.
        keep: Where a journal with a finding is copied to.
        durability: See `journal.open`.
    """
    with loop_volume(file_system) as volume:
        volume.mount()
        acknowledged: list[Acknowledged] = []
        for number in range(cuts):
            random = Random(f"{seed}-{file_system}-{number}")
            folder, tally = _cut_once(volume, random, f"{seed}-{number}", acknowledged, durability)
            if durability == "full" or tally.damaged:
                keep_when_found(tally, folder, keep / f"cut-{file_system}-{seed}-{number}")
            if tally.notes or tally.lost or random.random() < 0.1:  # the next cut begins with a new journal
                shutil.rmtree(folder.parent, ignore_errors=True)
                acknowledged = []
            yield tally
        volume.unmount()


def _cut_once(
    volume: LoopVolume,
    random: Random,
    seed: str,
    acknowledged: list[Acknowledged],
    durability: Durability,
) -> tuple[Path, Tally]:
    """Write, cut, come back, look; `acknowledged` grows by what this writer was told."""
    folder = volume.root / "training" / "journal"
    folder.parent.mkdir(exist_ok=True)
    writer = Child(partial(write_until_killed, folder, seed, durability=durability))
    writer.wait_for_reports(random.choice((0, 0, 1, 5, 20, 60)))
    spin(random.uniform(0, 0.008))
    before = writer.reported()  # what returns while the power goes proves nothing
    volume.cut_power()
    writer.kill()
    new = writer.reap()[:before]
    volume.unmount()
    volume.mount()
    acknowledged += new
    tally = inspect(folder, acknowledged)
    tally.rounds = 1
    tally.count(new)
    return folder, tally
