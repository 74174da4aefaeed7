"""`scripts/equivalence`: run situations both ways, and print a table of the differences."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from fnmatch import fnmatch
from importlib.metadata import version as installed_version
from pathlib import Path

import click

from equivalences.both import TrainingFailed, both, numbers
from equivalences.compared import differences
from equivalences.situations import OLDER, SITUATIONS, Situation

SAME, FOR_A_REASON, FAULT, NOT_THERE = "same", "differs for a reason", "FAULT", "not in this version"


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(sorted(SITUATIONS)), metavar="[SITUATION]...")
@click.option("--version", help="Version of Ultralytics, installed into --libraries.  [default: the installed one]")
@click.option("--libraries", type=click.Path(path_type=Path), default=Path(tempfile.gettempdir(), "ultralytics"))
@click.option("--keep", type=click.Path(path_type=Path), help="Keep journals and platforms in this new folder.")
def main(names: tuple[str, ...], version: str | None, libraries: Path, keep: Path | None) -> None:
    """Run the same trainings with upstream's own streaming and with ours, and compare what the platforms have."""
    library = _library(version, libraries) if version else None
    number = version or installed_version("ultralytics")
    click.echo(f"| situation ({number}) | outcome | what differs, and why | seconds |\n|---|---|---|---|")
    outcomes = [_row(name, library, number, keep) for name in names or SITUATIONS]
    sys.exit(FAULT in outcomes)


def _row(name: str, library: Path | None, version: str, keep: Path | None) -> str:
    began, situation = time.monotonic(), SITUATIONS[name]
    if numbers(version) < situation.since:
        outcome, words = NOT_THERE, ""
    else:
        with _folder(keep and keep / name) as folder:
            outcome, words = outcome_of(situation, Path(folder), library, version)
    click.echo(f"| {name} | {outcome} | {words} | {time.monotonic() - began:.0f} |")
    return outcome


def outcome_of(situation: Situation, folder: Path, library: Path | None, version: str) -> tuple[str, str]:
    """Run a situation both ways; return the outcome, and a description of the differences."""
    try:
        upstream, ours = both(situation, folder, library, version)
    except TrainingFailed as error:
        return FAULT, " ".join(str(error).split())
    if not upstream:
        return FAULT, "upstream streamed nothing"
    found = differences(upstream, ours)
    known = dict(situation.may_differ)
    for below, places in OLDER.items():
        known.update(places if numbers(version) < below else {})
    reasons = {place: _reason(known, place) for place in found}
    if faults := [f"`{place}`: {words}" for place, words in found.items() if reasons[place] is None]:
        return FAULT, "; ".join(faults)
    by_reason = {why: place for place, why in reasons.items()}
    return (FOR_A_REASON if found else SAME), "; ".join(f"`{place}`: {why}" for why, place in by_reason.items())


def _reason(known: Mapping[str, str], place: str) -> str | None:
    return next((why for pattern, why in known.items() if fnmatch(place, pattern)), None)


def _folder(kept: Path | None) -> AbstractContextManager[Path | str]:
    if kept is None:
        return tempfile.TemporaryDirectory(prefix="equivalence-")
    kept.mkdir(parents=True)
    return nullcontext(kept)


def _library(version: str, folder: Path) -> Path:
    """Return a folder with a version of Ultralytics, installed once and kept."""
    target = folder / f"ul-{version}"
    if not target.is_dir():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target)]
        subprocess.run([*command, f"ultralytics=={version}"], check=True)
    return target


if __name__ == "__main__":
    main()
