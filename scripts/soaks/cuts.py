"""Suites `cut-ext4` and `cut-xfs`: the power fails while a training writes; afterwards the journal is checked.

The file system is shut down without flushing its log, so everything that was not synced is lost, as in a power cut.
This does not simulate a disk that acknowledges a flush but keeps the bytes in a volatile cache.
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
        cuts: Number of power cuts.
        seed: Decides what is written and when the power fails, as far as the scheduler allows.
        keep: Folder that journals with a finding are copied to.
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
    """Write, cut the power, remount and check. The writer's acknowledged writes are added to `acknowledged`."""
    folder = volume.root / "training" / "journal"
    folder.parent.mkdir(exist_ok=True)
    writer = Child(partial(write_until_killed, folder, seed, durability=durability))
    writer.wait_for_reports(random.choice((0, 0, 1, 5, 20, 60)))
    spin(random.uniform(0, 0.008))
    before = writer.reported()  # a write that returns while the power fails proves nothing
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
