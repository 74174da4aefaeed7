"""Suite `fail`: a training's disk fails once, at each system call in turn; the training continues, and nothing is lost.

Events that the journal could not take are in the fallback file, which the check ingests as the next drain would. If an
event's commit failed after its bytes were written, the event may be in both, and then twice in the journal; the
platform recognises such duplicates by their keys.
"""

from __future__ import annotations

import itertools
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

import journal
from journal.checkpoints.blobs import file_stamp
from journal.storage import log_room
from soaks.ledger import Acknowledged, Tally, digest, event_acknowledged, inspect, seal
from soaks.places import keep_when_found, scratch
from soaks.processes import Child
from soaks.traces import count_calls, spread, start_traced
from soaks.workload import RUN_ID, Report
from uploader.recording import journal_connection, journal_options, session_writer
from uploader.recording.checkpoint_file import CheckpointFile

# SQLite reads, writes and syncs by pread64, pwrite64 and fdatasync; write, fsync, rename and mkdir are ours alone.
# "+": it fails from then on.
FAILURES = (
    ("pread64", "EIO", ""),
    ("pwrite64", "EIO", ""),
    ("pwrite64", "ENOSPC", ""),
    ("pwrite64", "ENOSPC", "+"),
    ("fdatasync", "EIO", ""),
    ("fdatasync", "EIO", "+"),
    ("ftruncate", "EIO", ""),
    ("fcntl", "ENOLCK", ""),
    ("openat", "EMFILE", ""),
    ("mkdir", "EROFS", ""),
    ("write", "ENOSPC", ""),
    ("fsync", "EIO", ""),
    ("rename", "EIO", ""),
    ("unlink", "EROFS", ""),
)
_EVENTS = 12


def run(keep: Path, limit: int) -> Iterator[Tally]:
    """Fail the n-th call of each kind: each of them, or `limit` of them, evenly spread.

    Args:
        keep: Folder that journals with a finding are copied to.
        limit: Maximum number of failures of each kind.
    """
    calls = count_calls(training, {name for name, *_ in FAILURES})
    for name, error, on in FAILURES:
        for step in spread(calls[name], limit):
            with scratch() as folder:
                tally = _fail(folder, name, f"error={error}:when={step}{on}")
                keep_when_found(tally, folder, keep / f"{name}-{error}-{step}{on}")
            yield tally


def training(folder: Path, report: Report) -> None:
    """Write events and checkpoints as the recorder does, and events that fail to a folder beside the journal."""
    logging.getLogger("uploader").setLevel(logging.CRITICAL)
    os.environ["UPLOADER_FALLBACK"] = str(folder.parent / "fallback")
    log_room.ROOM_BYTES, journal_connection.BUSY_SECONDS = 0, 0.1
    session = session_writer.SessionWriter(
        journal_options.JournalOptions(journal=str(folder)),
        session_writer.new_run(RUN_ID, project="soak", name="soak", save_dir=folder.parent),
        clock=partial(next, itertools.count(0, 20)),  # so that a failed journal is retried soon
    )
    for number in range(_EVENTS):
        payload = seal({"n": number, "text": f"epoch {number} " * 50})
        session.event("epoch_end", payload, str(number))
        report(event_acknowledged(number, payload))
        if number % 4 == 0:
            with suppress(journal.JournalError, OSError):  # as the recorder does
                source = _saved(folder.parent / f"epoch{number}.pt")
                session.add_checkpoint(CheckpointFile(source, "last", 0, True, False, file_stamp(source) or (0, 0, 0)))
    session.close("complete")


def _saved(path: Path) -> Path:
    """Write a checkpoint file with calls that are never made to fail, except for opening it."""
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY)
    os.writev(descriptor, [bytes(5_000), path.name.encode()])
    os.close(descriptor)
    return path


def _fail(folder: Path, name: str, injection: str) -> Tally:
    child = start_traced(partial(training, folder / "journal"), name, injection)
    acknowledged = child.reap()
    after = Child(partial(_take_in, folder))
    after.reap()
    tally = inspect(folder / "journal", [])
    tally.rounds = 1
    tally.count(acknowledged)
    tally.fail([child.failure, after.failure])
    _compare(folder / "journal" / "journal.db", acknowledged, tally)
    tally.notes = [f"{name} {injection}: {note}" for note in tally.notes]
    return tally


def _take_in(folder: Path, _: Report) -> None:
    with journal.open(folder / "journal") as opened:
        opened.fallbacks.ingest([folder / "fallback"])


def _compare(database: Path, acknowledged: list[Acknowledged], tally: Tally) -> None:
    """Check that every event is in the journal, by its payload, because ids change in the fallback file."""
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT key, payload FROM events WHERE kind = 'epoch_end'")
        there = {Acknowledged(int(key), digest(payload), is_blob=False) for key, payload in rows}
    for one in acknowledged:
        if one not in there:
            tally.lost += 1
            tally.notes.append(f"event {one.event_id} is lost")
