"""A run in a real journal, with the training's side and the drain's side of it at hand."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar, get_args

import pytest
from support import postgres_server
from support.shared_writer import SharedWriter

import journal
from journal.checkpoints.blobs import file_stamp
from journal.clock import utc_now
from journal.errors import JournalBusy
from journal.outbox.backlog import Backlog, read
from journal.outbox.claims import Wanted
from journal.outbox.outbox import Outbox
from journal.records import Claim, Destination, Lane, Outcome, PlannedDelivery, Run, Target
from journal.storage.database import BUSY_SECONDS
from journal.writing.writer import Writer

Engine = Literal["sqlite", "postgres"]
"""What holds a journal: a file, or a server's database."""
ENGINES: tuple[Engine, ...] = get_args(Engine)
IN_A_FILE = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
"""Marks a test of what only a journal in a file has, in a module whose other tests run on both engines."""
ROOT = Path(__file__).parents[2]
PLATFORM, URL = "ultralytics", "https://platform.example"
P, T = ParamSpec("P"), TypeVar("T")
_shared: dict[Path, str] = {}
"""URLs of the shared journals of the running test, by the folders that they have here."""


def insist(write: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Write until it succeeds: SQLite's lock is not fair, but nobody is refused before the time-out."""
    while True:
        began = time.monotonic()
        try:
            return write(*args, **kwargs)
        except JournalBusy:
            assert time.monotonic() - began > BUSY_SECONDS * 0.9  # SQLite counts its pauses, not the clock


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that nothing announces."""
    pause, deadline = threading.Event(), time.monotonic() + 200
    while not condition():
        assert time.monotonic() < deadline
        pause.wait(0.01)


def later(seconds: float) -> datetime:
    """Return the time in so many seconds."""
    return utc_now() + timedelta(seconds=seconds)


def rows(folder: Path, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
    """Read a journal the way a person would, by a connection of its own."""
    if (url := _shared.get(folder)) is not None:
        return postgres_server.rows(url, _in_format_style(query), arguments)
    with closing(sqlite3.connect(f"{(folder / 'journal.db').as_uri()}?mode=ro", uri=True)) as connection:
        return connection.execute(query, arguments).fetchall()


def change(folder: Path, query: str, *arguments: Any) -> None:
    """Change a journal by hand, by a connection of its own."""
    if (url := _shared.get(folder)) is not None:
        postgres_server.change(url, _in_format_style(query), arguments)
    else:
        with closing(sqlite3.connect(folder / "journal.db")) as connection, connection:
            connection.execute(query, arguments)


def _in_format_style(query: str) -> str:
    """Return a query with the place-holders of psycopg instead of SQLite's."""
    return query.replace("%", "%%").replace("?", "%s")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a journal's write lock, as another process might."""
    with closing(sqlite3.connect(folder / "journal.db", isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        yield
        holder.execute("COMMIT")


def remove(folder: Path) -> None:
    """Remove a journal at once: whoever uses it may be making a file in the folder that is being emptied."""
    shutil.rmtree(folder.rename(folder.with_name(f"{folder.name}, removed")))


def python(code: str, *arguments: object, **options: Any) -> subprocess.Popen[str]:
    """Start a new interpreter that runs `code`, with `arguments` in `sys.argv[1:]` and pipes for its output."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, **options)


def backlog(
    outbox: Outbox, run_id: str, *, after: int = 0, limit: int = 100, kinds: Collection[str] | None = None
) -> Backlog:
    """Return a run's next events."""
    with outbox.begin(read_only=True) as connection:
        return read(connection, run_id, after, limit, kinds)


@dataclass(frozen=True)
class Bench:
    """One run of one journal, and one destination of it."""

    journal: journal.Journal
    writer: Writer
    outbox: Outbox
    run: Run
    session_id: int
    destination: Destination

    def event(self, kind: str = "epoch_end", payload: Mapping[str, Any] | None = None, key: str = "") -> int:
        return self.writer.append(self.run.id, self.session_id, kind, payload or {}, key)

    def checkpoint(self, content: bytes, role: str = "last", **payload: Any) -> str:
        """Write and snapshot a file; return the sha256."""
        source = self.journal.path.parent / f"{role}.pt"
        source.write_bytes(content)
        snapshot = self.journal.blobs.snapshot(source, file_stamp(source), wait=lambda _: None)
        facts = {"epoch": 0, "filename": source.name, "publish": True, "isBest": False, **payload}
        self.writer.add_checkpoint(self.run.id, self.session_id, snapshot, role, facts)
        return snapshot.sha256

    def target(self) -> Target:
        return self.outbox.routes.targets(destination_id=self.destination.id, run_ids=[self.run.id])[0]

    def message(self, kind: str = "epoch_end", stage: int = 1, body: str = "{}") -> PlannedDelivery:
        """Append an event and return a delivery of it."""
        return self.planned(self.event(kind), kind, stage, body)

    def planned(self, event: int, kind: str = "epoch_end", stage: int = 1, body: str = "{}") -> PlannedDelivery:
        """Return a delivery of one event."""
        return PlannedDelivery(kind, "message", stage, event, event, body)

    def upload(self, sha256: str, role: str = "last", stage: int = 1) -> PlannedDelivery:
        """Return a delivery of the run's newest event, which is a checkpoint."""
        (event,) = rows(self.journal.path, "SELECT max(id) FROM events WHERE run_id = ?", self.run.id)[0]
        return PlannedDelivery("checkpoint", "upload", stage, event, event, "{}", sha256, role)

    def plan(self, *planned: PlannedDelivery) -> None:
        target = self.target()
        through = max([target.planned_through, *(delivery.last_event for delivery in planned)])
        stage = max([target.stage, *(delivery.stage for delivery in planned)])
        self.outbox.plans.write(target, planned, through=through, stage=stage)

    def claim(self, lane: Any = "message", **options: Any) -> list[Claim]:
        chosen = {
            name: options.pop(name) for name in {"limit", "max_bytes", "first_queue", "least_tried"} & options.keys()
        }
        wanted = Wanted(lane, **{"limit": 100, **chosen})
        defaults = {"owner": "test", "lease_seconds": 60.0, "now": utc_now()}
        return self.outbox.claims.take(self.destination.id, wanted, **{**defaults, **options})

    def next_due(self, lane: Lane = "message", *, now: datetime | None = None, **options: Any) -> datetime | None:
        found = self.outbox.claims.next_due(self.destination.id, now=now or utc_now(), **options)
        return found.get(lane)

    def behind(self) -> list[Target]:
        """Return the target, in a list, when it has something to plan."""
        states = ("new", "registered", "blocked")
        return [one for state in states for one in self.outbox.backlogs.behind(self.destination.id, state)]

    def record(self, *outcomes: Outcome) -> list[Outcome]:
        return self.outbox.settlement.record(outcomes, now=utc_now())

    def register(self) -> None:
        """Plan and deliver the registration."""
        self.plan(self.message("training_started"))
        (claim,) = self.claim(run_ids=[self.run.id])
        self.record(Outcome(claim, "delivered", ids={"modelId": "m-1"}))

    def states(self) -> list[str]:
        return [state for (state,) in rows(self.journal.path, "SELECT state FROM deliveries ORDER BY id")]


@contextmanager
def bench(
    folder: Path, engine: Engine = "sqlite", *, pid: int | None = None, run_id: str | None = None
) -> Iterator[Bench]:
    """Open a journal with a run in it that goes to one destination.

    Args:
        folder: The journal's; its parent, which is made too, takes checkpoint files.
        engine: What holds it. A shared one is empty, and what this machine has of it is in the folder.
        pid: The process that the session says it is; by default this one, which is alive.
        run_id: By default a new uuid.
    """
    with opened_in(folder, engine) as opened:
        writer, outbox = writer_of(opened), opened.outbox()
        run = writer.start_run(project="demo", name="run", save_dir=str(folder.parent), run_id=run_id)
        session_id = writer.start_session(run.id, pid)
        destination = outbox.routes.add_destination(PLATFORM, URL)
        outbox.routes.add(run.id, destination.id)
        try:
            yield Bench(opened, writer, outbox, run, session_id, destination)
        finally:
            writer.close()
            outbox.close()


@contextmanager
def opened_in(folder: Path, engine: Engine) -> Iterator[journal.Journal]:
    """Open the journal of a folder: a file in it, or a database, which is new to this test."""
    if engine == "sqlite":
        with journal.open(folder) as opened:
            yield opened
        return
    if folder not in _shared:
        _shared[folder] = postgres_server.borrowed_journal()
    with postgres_server.shared_journal_in(_shared[folder], folder) as opened:
        yield opened


def give_back_databases() -> None:
    """Give back the databases that a test has used."""
    while _shared:
        postgres_server.give_back(_shared.popitem()[1])


def url_of(opened: journal.Journal) -> str:
    """Return the URL of a shared journal."""
    return _shared[opened.path]


def writer_of(opened: journal.Journal) -> Writer:
    """Return what writes a test's events into a journal."""
    return SharedWriter(opened) if opened.is_shared else opened.writer()  # type: ignore[return-value]  # as far as used


def dead_pid() -> int:
    """Return the number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def finish(processes: Sequence[subprocess.Popen[str]]) -> list[str]:
    """Wait for processes that must succeed; return what each printed."""
    printed = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes)
    return printed
