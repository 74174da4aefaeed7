"""`scripts/soak`: run suites and print a table of their results."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click
from tqdm import tqdm

from soaks import (
    cuts,
    drain_steps,
    failures,
    kills,
    lost_machines,
    lost_trainings,
    network,
    planted_differences,
    shared_journals,
    steps,
)
from soaks.drains import HUB, ULTRALYTICS
from soaks.ledger import Tally
from soaks.lost_machines import LostTally
from soaks.lost_trainings import LostTrainingTally
from soaks.network_tally import NetworkTally
from soaks.planted_differences import PlantedTally
from soaks.traces import why_no_strace
from soaks.volumes import why_no_volume

AnyTally = Tally | NetworkTally | LostTally | LostTrainingTally | PlantedTally


@dataclass(frozen=True)
class Suite:
    """One kind of fault.

    Attributes:
        rounds: The full number; for suites of steps, the maximum of each kind.
        run: Called with rounds, seed and the folder for findings.
        why_not: Returns the reason why it cannot run here, or None.
        may_lose: Whether it may lose the newest events.
        tally: The class of its figures.
        columns: The figures that the table shows.
    """

    rounds: int
    run: Callable[[int, int, Path], Iterator[AnyTally]]
    why_not: Callable[[], str | None] = lambda: None
    may_lose: bool = False
    tally: type[AnyTally] = Tally
    columns: tuple[str, ...] = ("rounds", "events", "blobs", "lost", "torn", "blobs_lost", "corrupt", "holes", "broken")


def _cut(file_system: str, durability: cuts.Durability) -> Suite:
    def run(rounds: int, seed: int, keep: Path) -> Iterator[Tally]:
        return cuts.run(file_system, rounds, seed, keep, durability)

    rounds = 500 if durability == "full" else 100
    return Suite(rounds, run, partial(why_no_volume, file_system), may_lose=durability != "full")


_NETWORK_COLUMNS = (
    "rounds",
    "drains",
    "kills",
    "stops",
    "requests",
    "lost",
    "doubled",
    "torn",
    "leaked",
    "stuck",
    "broken",
    "faults",
)


def _network(*platforms: str, idempotency: bool) -> Suite:
    def run(rounds: int, seed: int, keep: Path) -> Iterator[NetworkTally]:
        return network.run(rounds, seed, keep, platforms=platforms, idempotency=idempotency)

    return Suite(1_000, run, tally=NetworkTally, columns=_NETWORK_COLUMNS)


_LOST_COLUMNS = ("rounds", "events", "mirrored", "late", "slowest", "lost", "torn", "broken", "runs")


def _lost(*, sends_late: bool) -> Suite:
    def run(rounds: int, seed: int, keep: Path) -> Iterator[LostTally]:
        return lost_machines.run(rounds, seed, keep, sends_late=sends_late)

    return Suite(300, run, tally=LostTally, columns=_LOST_COLUMNS)


_PLANTED_COLUMNS = ("rounds", "found", "undisturbed", "mended", "missed", "false", "unmended")
_TRAINED_COLUMNS = ("rounds", "trainings", "epochs", "mirrored", "lost", "different", "runs", "broken")


def _lost_training(*, in_s3: bool) -> Suite:
    def run(rounds: int, seed: int, keep: Path) -> Iterator[LostTrainingTally]:
        return lost_trainings.run(rounds, seed, keep, in_s3=in_s3)

    why_not = lost_trainings.why_no_s3 if in_s3 else lost_trainings.why_not
    return Suite(50, run, why_not, tally=LostTrainingTally, columns=_TRAINED_COLUMNS)


SUITES = {
    "kill": Suite(10_000, kills.run),
    "line": Suite(5_000, lambda rounds, _, keep: steps.run_lines(keep, rounds)),
    "call": Suite(1_000, lambda rounds, _, keep: steps.run_calls(keep, rounds), why_no_strace),
    "fail": Suite(1_000, lambda rounds, _, keep: failures.run(keep, rounds), why_no_strace),
    "cut-ext4": _cut("ext4", "full"),
    "cut-xfs": _cut("xfs", "full"),
    "cut-ext4-process": _cut("ext4", "process"),
    "cut-xfs-process": _cut("xfs", "process"),
    "lost-machine": _lost(sends_late=False),
    "lost-machine-late": _lost(sends_late=True),
    "lost-training": _lost_training(in_s3=False),
    "lost-training-s3": _lost_training(in_s3=True),
    "drain-line": Suite(
        5_000,
        lambda rounds, _, keep: drain_steps.run(keep, rounds),
        tally=NetworkTally,
        columns=_NETWORK_COLUMNS[:-1],
    ),
    "network": _network(ULTRALYTICS, idempotency=True),
    "network-public": _network(ULTRALYTICS, idempotency=False),
    "network-hub": _network(HUB, idempotency=True),
    "network-hub-public": _network(HUB, idempotency=False),
    "planted": Suite(1_000, planted_differences.run, tally=PlantedTally, columns=_PLANTED_COLUMNS),
    "shared": Suite(500, shared_journals.run, shared_journals.why_not, tally=NetworkTally, columns=_NETWORK_COLUMNS),
    "network-both": _network(ULTRALYTICS, HUB, idempotency=True),
}


@click.command()
@click.argument("suites", nargs=-1, type=click.Choice(list(SUITES)))
@click.option(
    "--rounds", type=click.IntRange(1), help="Number of faults per suite.  [default: each suite's full number]"
)
@click.option("--seed", type=int, default=1, show_default=True, help="Seed of every random choice.")
@click.option("--keep", type=click.Path(path_type=Path, file_okay=False), default="soak-findings", show_default=True)
def main(suites: tuple[str, ...], rounds: int | None, seed: int, keep: Path) -> None:
    """Run SUITES, all by default; exit with 1 if one of them found a fault."""
    names, found, columns = suites or tuple(SUITES), False, ()
    for name in names:
        suite = SUITES[name]
        if columns != suite.columns:
            columns = suite.columns
            _row("suite", "seed", *columns, "seconds")
            _row(*["---"] * (len(columns) + 3))
        if reason := suite.why_not():
            _row(name, f"skipped: {reason}")
            continue
        started, total = time.monotonic(), _run(name, suite, rounds or suite.rounds, seed, keep)
        _row(name, seed, *(_figure(getattr(total, column)) for column in columns), round(time.monotonic() - started))
        found = found or bool(total.damaged or (total.lost and not suite.may_lose))
        if total.damaged or not suite.may_lose:
            click.echo("".join(f"  {note}\n" for note in total.notes[:20]), nl=False)
    sys.exit(found)


def _run(name: str, suite: Suite, rounds: int, seed: int, keep: Path) -> AnyTally:
    total = suite.tally()
    with tqdm(desc=name, unit="round", leave=False, disable=None) as progress:
        for tally in suite.run(rounds, seed, keep):
            total.add(tally)
            progress.update(tally.rounds)
    return total


def _figure(value: int | Counter[str]) -> str:
    """Format a number, or the total and the parts of a counter."""
    if isinstance(value, int):
        return str(value)
    return f"{sum(value.values())}: {', '.join(f'{name} {count}' for name, count in sorted(value.items()))}"


def _row(*cells: object) -> None:
    click.echo(f"| {' | '.join(map(str, cells))} |")
    sys.stdout.flush()


if __name__ == "__main__":
    main(prog_name="scripts/soak")
