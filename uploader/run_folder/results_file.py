"""The trainer's own record of its epochs: `results.csv` in a run's folder.

Upstream appends a row as soon as an epoch is validated, before it saves the epoch's checkpoint and before callbacks
hear of its end. A row may be torn by a kill; the next session then appends its first row to the torn one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from journal.clock import to_text, utc_now
from journal.kinds import EVALUATED, TRAINED, VALIDATED
from journal.sessions.lost_epochs import TrainedEpoch, TrainerRecord
from journal.sessions.over import OverRun
from uploader.run_folder.epoch_times import epoch_times
from uploader.run_folder.run_file import KnownRun

RESULTS_FILE = "results.csv"
ARGUMENTS_FILE = "args.yaml"
_CLOCKS_DIFFER = timedelta(minutes=5)
"""By as much as that, at most, those of a machine and of the disk that keeps its files, or two correct ones."""
_NUMBER = "epoch"
_SECONDS = "time"
_RATES = "lr/pg"
_RATE = "lr/pg0"
_MOST_BYTES = 64 << 20
"""Of a file that is read: a training of a hundred thousand epochs writes less."""


def record_of(run: OverRun) -> TrainerRecord:
    """Return the trainer's record of a run that is over, from the folder whose run file names it."""
    for folder in run.folders:
        known = KnownRun.read(folder)
        if known and known.run == run.id:
            is_doubtful = run.is_pruned or _is_used_again(folder, run.last_sign)
            record = read_results_since(folder, known.begun_at or run.begun_at)
            return replace(record, is_doubtful=is_doubtful or record.is_doubtful)
    return TrainerRecord()


def _is_used_again(folder: Path, last_sign: str) -> bool:
    """Return whether a training began in a folder after a run's last sign of life; each writes its arguments there."""
    try:
        begun = datetime.fromtimestamp((folder / ARGUMENTS_FILE).stat().st_mtime, timezone.utc)
        return to_text(begun - _CLOCKS_DIFFER) > last_sign
    except (OSError, ValueError, OverflowError):
        return False


def read_results(folder: Path) -> list[TrainedEpoch]:
    """Return the epochs of a folder's `results.csv`, in its order; none when there is no such file.

    Raises:
        OSError: It is there and cannot be read now.
    """
    return parse_results(read_results_text(folder))


def read_results_text(folder: Path) -> str:
    """Return the text of a folder's `results.csv`; "" when there is no such file.

    Raises:
        OSError: It is there and cannot be read now.
    """
    try:
        with (folder / RESULTS_FILE).open("rb") as opened:
            return opened.read(_MOST_BYTES).decode("utf-8-sig", "replace")  # a person's editor may have added a mark
    except (FileNotFoundError, NotADirectoryError):
        return ""


def read_results_since(folder: Path, begun_at: str) -> TrainerRecord:
    """Return the same as the record of a run that began at a time; without epochs when it cannot be read.

    A new training into a folder that was used before removes the earlier one's file only after it has begun. So a file
    that was last written before is doubtful: it is the run's only if the clock was ahead when that began, which the
    values of its epochs tell. A time that is ahead even now tells nothing.

    Args:
        folder: The run's folder.
        begun_at: When its run began, as an ISO time; "" if that is not known.
    """
    try:
        written = datetime.fromtimestamp((folder / RESULTS_FILE).stat().st_mtime, timezone.utc)
        is_older = to_text(written) < begun_at <= to_text(utc_now() + _CLOCKS_DIFFER)
        return TrainerRecord(_dated(read_results(folder), written), is_doubtful=is_older)
    except (OSError, ValueError, OverflowError):
        return TrainerRecord()


def _dated(epochs: Sequence[TrainedEpoch], written: datetime) -> list[TrainedEpoch]:
    """Return epochs with when each ended: the last one when the file was written, at the latest now."""
    times = epoch_times([epoch.seconds for epoch in epochs], min(written, utc_now()))
    return [replace(epoch, at=at) for epoch, at in zip(epochs, times, strict=True)]


def parse_results(content: str) -> list[TrainedEpoch]:
    """Return the epochs of the text of a `results.csv`, in its order. Pure.

    The last line counts only if it is whole. A line with other than a number for each column is left out, as is one
    whose epoch does not follow those before it: two lines of which the first was torn read as one.
    """
    head, *lines = content[: content.rfind("\n") + 1].splitlines() or [""]
    return _epochs(head.split(","), [line.split(",") for line in lines], RESULTS_FILE)


def epochs_of_columns(columns: object, source: str) -> list[TrainedEpoch]:
    """Return the epochs of the same table as upstream keeps it in a checkpoint: a list of values for each name. Pure.

    Args:
        columns: Whatever stands there.
        source: Name of the checkpoint's file.
    """
    if not isinstance(columns, dict) or not all(isinstance(column, list) for column in columns.values()):
        return []
    return _epochs([str(name) for name in columns], list(zip(*columns.values(), strict=False)), source)


def _epochs(head: Sequence[str], lines: Sequence[Sequence[object]], source: str) -> list[TrainedEpoch]:
    names = [name.strip() for name in head]
    if names[:1] != [_NUMBER] or not any(name.startswith((TRAINED, VALIDATED, EVALUATED)) for name in names):
        return []
    rows = [_row(names, line) for line in lines]
    return [_epoch(row, source) for row in _in_sequence(rows)]


def _row(names: Sequence[str], cells: Sequence[Any]) -> Mapping[str, float] | None:
    if len(cells) != len(names):
        return None
    with suppress(ValueError, TypeError):
        row = dict(zip(names, map(float, cells), strict=True))
        return row if row[_NUMBER].is_integer() and row[_NUMBER] >= 1 else None
    return None


def _in_sequence(rows: Sequence[Mapping[str, float] | None]) -> Iterator[Mapping[str, float]]:
    """Yield the rows whose epoch is at most one more than that of the row before, left-out rows being epochs, too."""
    most = math.inf
    for row in rows:
        if row is not None and row[_NUMBER] <= most:
            yield row
            most = row[_NUMBER]
        most += 1


def _epoch(row: Mapping[str, float], source: str) -> TrainedEpoch:
    """Return a row as the end of its epoch reports it: losses, metrics and `lr`; numbered from 0, not from 1."""
    metrics = {name: value for name, value in row.items() if name not in {_NUMBER, _SECONDS} and _RATES not in name}
    rate = {"lr": row[_RATE]} if _RATE in row else {}
    return TrainedEpoch(int(row[_NUMBER]) - 1, {**metrics, **rate}, source, row.get(_SECONDS))
