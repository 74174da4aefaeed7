"""Suite `kill`: writers are killed by SIGKILL at a random moment, one or two at a time on the same journal."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random

from soaks.ledger import Acknowledged, Tally, inspect
from soaks.places import keep_when_found, scratch
from soaks.processes import Child, spin
from soaks.workload import write_until_killed


def run(rounds: int, seed: int, keep: Path) -> Iterator[Tally]:
    """Yield the figures of each journal, which lives for about ten rounds.

    Args:
        rounds: Number of writers to kill.
        seed: Decides what they write and when they are killed, as far as the scheduler allows.
        keep: Folder that journals with a finding are copied to.
    """
    done = 0
    while done < rounds:
        with scratch() as folder:
            life = _live(folder / "journal", f"{seed}-{done}", rounds - done)
            keep_when_found(life, folder, keep / f"kill-{seed}-{done}")
        done += life.rounds
        yield life


def _live(folder: Path, seed: str, limit: int) -> Tally:
    """Kill writers of one journal several times; inspect it after each kill."""
    random, life, acknowledged = Random(seed), Tally(), list[Acknowledged]()
    age = min(limit, random.randint(4, 20))
    while life.rounds < age and not life.notes:
        writers = min(random.choice((1, 1, 2)), age - life.rounds)
        killed = _kill(folder, f"{seed}-{life.rounds}", random, writers)
        new = [one for child in killed for one in child.reap()]
        acknowledged += new
        found = inspect(folder, acknowledged)
        found.rounds = writers
        found.count(new)
        found.fail(child.failure for child in killed)
        life.add(found)
    return life


def _kill(folder: Path, seed: str, random: Random, writers: int) -> list[Child]:
    """Start writers, and kill them one after the other: while opening, or after some acknowledged writes."""
    children = [Child(partial(write_until_killed, folder, f"{seed}-{number}")) for number in range(writers)]
    for child in children:
        child.wait_for_reports(random.choice((0, 0, 1, 5, 20)))
        spin(random.uniform(0, 0.006))
        child.kill()
    return children
