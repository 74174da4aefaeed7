"""The time that recording one event of twelve floats takes."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path

from benches.contender import Opening, Operation, contenders
from benches.measure import Result, Setting, Table, Target, in_turn, table
from journal.encoding import encode
from journal.storage.database import Durability

METRICS = {f"metrics/m{number}": number * 0.1234567891 for number in range(12)}
EVENT = {"epoch": 1, "metrics": METRICS}
RUN = "0f8e8a3e-1111-4222-8333-444455556666"
AT = "2026-01-01T00:00:00.000000Z"

BLOCK = 25
ROUNDS = 40
RAW, PREALLOCATED = "sqlite3: INSERT, COMMIT", "sqlite3, log preallocated as ours"
SAME = "sqlite3: the same INSERT, schema and log"
OURS, RECORDER = "journal: Writer.append", "callbacks: Recorder.event"
MIRRORED = "Recorder.event, mirrored to a folder"
NEPTUNE, WANDB = "neptune-scale 0.30 offline: log_metrics", "wandb 0.31 offline: log"
PEER = "journal, full: Writer.append"
TOGETHER = 100
"""Events of one reading of a rate."""
RATES = 10
"""Readings of a rate: together they fit into the log's room."""
SLOW_SECONDS = 0.002
ONE, FOUR = "1 thread", "4 threads on one writer"
SLOW_ONE, SLOW_FOUR = "1 thread, flushes 2 ms longer", "4 threads, flushes 2 ms longer"


def run(setting: Setting) -> Result:
    """Measure both durabilities against sqlite3, the default one against two trackers, and threads that share it."""
    durable: dict[str, Opening] = {
        RAW: raw_full,
        PREALLOCATED: raw_preallocated,
        SAME: same_full,
        OURS: journal_full,
        RECORDER: recorder_full,
    }
    full = _table(setting, "durability full", durable)
    process = _table(setting, "durability process", {RAW: raw_process, SAME: same_process, OURS: journal_process})
    peers = _table(setting, "trackers", {NEPTUNE: neptune, WANDB: wandb, PEER: journal_full})
    mirrored = _table(setting, "with a mirror", {RECORDER: recorder_full, MIRRORED: recorder_mirrored})
    threads = _rates(setting, {ONE: one_thread, FOUR: four_threads, SLOW_ONE: slow_thread, SLOW_FOUR: slow_threads})
    return Result(
        (full, process, peers, mirrored, threads),
        (
            Target("durable append over sqlite3, p50", full.ratio(OURS), 1.25),
            Target("the same over the same INSERT, p50", full.ratio(OURS) / full.ratio(SAME), 1.15),
            Target("not flushed, over the same INSERT, p50", process.ratio(OURS) / process.ratio(SAME), 1.25),
            Target("durable append over neptune-scale, p50", peers.ratio(PEER), 1.0),
            Target("event with a mirror over one without, p50", mirrored.ratio(MIRRORED), 1.05),
            Target("rate of 4 threads over one thread's", threads.ratio(FOUR), 1.2, at_least=True),
            Target(
                "the same where a flush takes 2 ms longer",
                threads.ratio(SLOW_FOUR) / threads.ratio(SLOW_ONE),
                1.8,
                at_least=True,
            ),
        ),
        (
            "The sqlite3 baseline writes the same bytes, encoded beforehand, to a plain table with no index or "
            "constraint, under the same pragmas. Ours also encodes the payload and reads the clock.",
            "A session preallocates its log before its events need it (log_room.py), so that a commit overwrites "
            "instead of extending the file; the second row shows the effect of this alone on sqlite3.",
            "The same INSERT: encoded beforehand, into a journal's table with indexes, constraints and trigger, "
            "by sqlite3 alone, which flushes each commit where ours flush; its log has the same room.",
            f"Each row is a separate process; they alternate in blocks of {BLOCK} events.",
            "neptune-scale commits each event to SQLite with synchronous=FULL; wandb passes it to another process and "
            "does not wait for the disk.",
            f"Rates are of {TOGETHER} events of durability full. Flushes that take longer are made by a thread, which "
            "sleeps before each.",
        ),
    )


def _table(setting: Setting, title: str, openings: dict[str, Opening]) -> Table:
    with contenders(openings, setting.folder / title.replace(" ", "-"), BLOCK) as running:
        return table(f"One event, {title}", "µs", in_turn(running, setting.rounds(ROUNDS)), 1e6)


def _rates(setting: Setting, openings: dict[str, Opening]) -> Table:
    with contenders(openings, setting.folder / "rates", 1) as running:
        readings = in_turn(running, setting.rounds(RATES))
    rates = {name: [TOGETHER / each for each in seconds] for name, seconds in readings.items()}
    return table("Events per second, threads that share a writer", "1/s", rates, more_is_better=True)


@contextmanager
def raw(folder: Path, synchronous: str) -> Iterator[Operation]:
    """The baseline: the minimum that a durable row in SQLite can cost from Python."""
    connection = sqlite3.connect(folder / "raw.db")
    for pragma in ("wal_autocheckpoint=0", "mmap_size=0", "journal_mode=WAL", f"synchronous={synchronous}"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute(
        "CREATE TABLE events (id INTEGER PRIMARY KEY, run_id TEXT, session_id INTEGER, kind TEXT, key TEXT, "
        "payload TEXT, created_at TEXT)"
    )
    statement = "INSERT INTO events (run_id, session_id, kind, key, payload, created_at) VALUES (?, ?, ?, ?, ?, ?)"
    row = (RUN, 1, "epoch_end", "1", encode(EVENT), AT)

    def operation() -> None:
        connection.execute(statement, row)
        connection.commit()

    yield operation
    connection.close()


def raw_full(folder: Path) -> AbstractContextManager[Operation]:
    return raw(folder, "FULL")


@contextmanager
def raw_preallocated(folder: Path) -> Iterator[Operation]:
    from journal.storage.log_room import make_room

    with raw(folder, "FULL") as operation:
        other = sqlite3.connect(folder / "raw.db", isolation_level=None)
        make_room(other, folder / "raw.db")
        yield operation
        other.close()


def raw_process(folder: Path) -> AbstractContextManager[Operation]:
    return raw(folder, "NORMAL")


@contextmanager
def same_insert(folder: Path, synchronous: str) -> Iterator[Operation]:
    """What sqlite3 alone takes to write the row that ours write, in a journal that nobody else has open."""
    import journal
    from journal.storage.log_room import make_room

    with journal.open(folder / "journal") as opened:
        writer = opened.writer()
        run = writer.start_run(project="bench", name="append", save_dir=str(folder))
        session = writer.start_session(run.id)
        writer.close()
    database = folder / "journal" / "journal.db"
    connection = sqlite3.connect(database, isolation_level=None)
    for pragma in ("wal_autocheckpoint=0", "mmap_size=0", f"synchronous={synchronous}", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")
    make_room(connection, database)
    numbers = count(1)
    statement = (
        "INSERT INTO events (run_id, session_id, kind, key, payload, created_at, seq) VALUES (?, ?, ?, ?, ?, ?, ?)"
    )
    row = (run.id, session, "epoch_end", "1", encode(EVENT), AT)

    def operation() -> None:
        connection.execute(statement, (*row, next(numbers)))

    yield operation
    connection.close()


def same_full(folder: Path) -> AbstractContextManager[Operation]:
    return same_insert(folder, "FULL")


def same_process(folder: Path) -> AbstractContextManager[Operation]:
    return same_insert(folder, "NORMAL")


@contextmanager
def appending(folder: Path, durability: Durability) -> Iterator[Operation]:
    """Ours."""
    import journal

    with journal.open(folder / "journal", durability=durability) as opened:
        writer = opened.writer()
        run = writer.start_run(project="bench", name="append", save_dir=str(folder))
        session = writer.start_session(run.id)
        yield lambda: writer.append(run.id, session, "epoch_end", EVENT, "1")
        writer.close()


def journal_full(folder: Path) -> AbstractContextManager[Operation]:
    return appending(folder, "full")


def journal_process(folder: Path) -> AbstractContextManager[Operation]:
    return appending(folder, "process")


@contextmanager
def together(folder: Path, threads: int) -> Iterator[Operation]:
    """Many events of ours, written by several threads."""
    with appending(folder, "full") as append, ThreadPoolExecutor(threads) as pool:

        def several() -> None:
            for _ in range(TOGETHER // threads):
                append()

        yield lambda: [each.result() for each in [pool.submit(several) for _ in range(threads)]]


def one_thread(folder: Path) -> AbstractContextManager[Operation]:
    return together(folder, 1)


def four_threads(folder: Path) -> AbstractContextManager[Operation]:
    return together(folder, 4)


def slow_thread(folder: Path) -> AbstractContextManager[Operation]:
    _slow_down()
    return together(folder, 1)


def slow_threads(folder: Path) -> AbstractContextManager[Operation]:
    _slow_down()
    return together(folder, 4)


def _slow_down() -> None:
    """Have each flush of this process take longer."""
    from journal.storage import background_sync

    flush = background_sync.flush

    def slowly(descriptor: int) -> None:
        time.sleep(SLOW_SECONDS)
        flush(descriptor)

    background_sync._CALLS = {}  # by a thread
    background_sync.flush = slowly


def recorder_full(folder: Path) -> AbstractContextManager[Operation]:
    return recording(folder)


def recorder_mirrored(folder: Path) -> AbstractContextManager[Operation]:
    return recording(folder, mirror=str(folder / "mirror"))


@contextmanager
def recording(folder: Path, mirror: str | None = None) -> Iterator[Operation]:
    """Ours, as the callbacks call it: never raises, falls back, knows the session."""
    from uploader.recording.journal_options import JournalOptions
    from uploader.recording.recorder import Recorder

    options = JournalOptions(journal=str(folder / "journal"), mirror=mirror)
    recorder = Recorder.start(options, project="bench", name="append", save_dir=folder, resume=False)
    yield lambda: recorder.event("epoch_end", EVENT, "1")
    recorder.finish("complete")


@contextmanager
def neptune(folder: Path) -> Iterator[Operation]:
    """The client of neptune-scale without a network; steps must grow."""
    from neptune_scale import Run

    run, steps = Run(project="bench/append", run_id="bench", mode="offline", log_directory=folder), count()
    yield lambda: run.log_metrics(METRICS, step=next(steps))
    run.close()


@contextmanager
def wandb(folder: Path) -> Iterator[Operation]:
    """The client of wandb without a network."""
    os.environ.update(WANDB_SILENT="true", WANDB_DIR=str(folder), WANDB_CACHE_DIR=str(folder), HOME=str(folder))
    import wandb as client

    run = client.init(mode="offline", project="bench", dir=str(folder))
    yield lambda: run.log(METRICS)
    run.finish()
