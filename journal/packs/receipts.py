"""Receipts: what platforms have taken of runs that were drained elsewhere, on its way back to the journal they are of.

Two lines of JSON: a header with a digest of the second, which holds the results of the runs (`run_results.py`), of
which only what arrived and what was superseded. What does not fit the journal is named and left out: another run, an
address that the run does not go to, another model, other events.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from sqlalchemy import Connection, select

from journal.clock import now_text
from journal.disk import replacing
from journal.errors import DamagedResults, from_os
from journal.folder import Journal
from journal.outbox import results_intake, run_results, targets
from journal.outbox.run_results import Results, TargetResults
from journal.schema import tables

FORMAT = 1
WHAT = "receipts of runs that were drained elsewhere"
_LONGEST_HEADER = 1 << 12
_ERRORS = (KeyError, TypeError, ValueError, AttributeError, RecursionError)


@dataclass
class ReceiptsTaken:
    """What taking receipts in came to.

    Attributes:
        runs: How many runs of the journal they are of.
        others: How many runs of other journals.
        delivered: How many deliveries are known to have arrived that were not before.
        refused: In words, what does not fit this journal.
    """

    runs: int = 0
    others: int = 0
    delivered: int = 0
    refused: list[str] = field(default_factory=list)


def collect(journal: Journal, runs: Collection[str] | None = None) -> list[Results]:
    """Return the receipts that a journal has.

    Args:
        journal: The one that was drained.
        runs: Only of these runs; None for all.
    """
    with journal.begin(read_only=True) as connection:
        every = connection.execute(select(tables.runs.c.id)).scalars().all()
        chosen = [run_id for run_id in every if runs is None or run_id in runs]
        found = [run_results.read(connection, run_id) for run_id in chosen]
    return [replace(one, targets=tuple(each.arrived() for each in one.targets), sessions=()) for one in found]


def write(receipts: Sequence[Results], path: Path) -> None:
    """Write receipts into a file, or that which a link leads to, whole or not at all.

    Raises:
        JournalUnavailable: It cannot be written.
    """
    content = json.dumps([one.to_json() for one in receipts], separators=(",", ":")).encode()
    header = {
        "format": FORMAT,
        "what": WHAT,
        "use": "python -m uploader receipts <this file>, where they were recorded",
        "made_at": now_text(),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    try:
        with replacing(path) as file:
            file.write(json.dumps(header).encode() + b"\n" + content + b"\n")
    except OSError as error:
        raise from_os(error, path) from error


def is_one(path: Path) -> bool:
    """Return whether a file begins as receipts do."""
    try:
        with path.open("rb") as file:
            return bool(json.loads(file.readline(_LONGEST_HEADER))["what"] == WHAT)
    except (OSError, *_ERRORS):
        return False


def read(path: Path) -> list[Results]:
    """Return the receipts in a file.

    Raises:
        DamagedResults: They are torn or were altered, or it holds something else.
        JournalUnavailable: It cannot be read.
    """
    try:
        header, _, content = path.read_bytes().partition(b"\n")
    except OSError as error:
        raise from_os(error, path, "read") from error
    content = content.removesuffix(b"\n")
    try:
        values = json.loads(header)
        if values["format"] != FORMAT:
            raise DamagedResults(f"{path} was written by a later version; update this machine")
        if values["sha256"] != hashlib.sha256(content).hexdigest():
            raise ValueError("it was torn or altered")
        return [Results.from_json(one) for one in json.loads(content)]
    except _ERRORS as error:
        raise DamagedResults(f"{path} holds no receipts, or damaged ones ({error}); nothing was taken in") from error
    except DamagedResults as error:
        raise DamagedResults(f"{path}: {error}. Nothing was taken in") from error


def take_in(journal: Journal, receipts: Sequence[Results]) -> ReceiptsTaken:
    """Mark what has arrived as delivered.

    Args:
        journal: The one in which the runs were recorded.
        receipts: Of them, and maybe of others.

    Raises:
        JournalError: The journal cannot be written.
    """
    taken = ReceiptsTaken()
    for one in receipts:
        with journal.begin() as connection:
            if not _is_known(connection, one.run.id):
                taken.others += 1
                continue
            fitting, strange = _fitting(connection, one)
            found = results_intake.take_in(connection, replace(one, targets=fitting), only_of_events=True)
        taken.runs += 1
        taken.delivered += found.delivered
        taken.refused += [*strange, *found.refused]
    return taken


def _is_known(connection: Connection, run_id: str) -> bool:
    return connection.execute(select(tables.runs.c.id).where(tables.runs.c.id == run_id)).first() is not None


def _fitting(connection: Connection, receipts: Results) -> tuple[tuple[TargetResults, ...], list[str]]:
    """Return the destinations that count here, and in words those that do not.

    A run that goes nowhere yet, or to a platform without an address, goes where it was drained to, as if that had been
    done here.
    """
    own = [one.destination for one in targets.targets(connection, [receipts.run.id], dropped=True)]
    fitting, strange = [], []
    for target in receipts.targets:
        if not target.deliveries:
            continue
        places = {(one.platform, one.base_url) for one in own}
        if not places or {(target.platform, target.base_url), (target.platform, "")} & places:
            fitting.append(target)
        else:
            strange.append(f"run {receipts.run.id} does not go to {target.base_url} ({target.platform}) here")
    return tuple(fitting), strange
