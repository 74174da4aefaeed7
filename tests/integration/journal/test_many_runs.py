"""Journals of many runs: what looks at all of them takes time in proportion, and prune lets others write meanwhile."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine, event, text
from support.journals import finish, python, rows

import journal
from journal import read_only
from journal.checkpoints import salvage
from journal.clock import utc_now
from journal.outbox.replaced import replaced
from journal.reading import report
from journal.reading.epoch_gaps import missing_epochs
from journal.reading.overview import overview
from journal.retention import eviction, prunable, pruning
from journal.retention.prunable import NEEDED
from journal.sessions.liveness import live_runs
from journal.sessions.lost_epochs import TrainedEpoch, TrainerRecord
from journal.sessions.over import runs_over
from journal.writing.epoch_salvage import find

LONG_AGO = "2020-01-01T00:00:00.000000Z"
NOW = utc_now()


def fill(folder: Path, runs: int, each: int = 4, undelivered: bool = False) -> None:
    """Make a journal of runs that have arrived whole, or wait; each with events, deliveries and a checkpoint."""
    journal.open(folder).close()
    state = "pending" if undelivered else "delivered"
    with closing(sqlite3.connect(folder / "journal.db")) as connection, connection:
        connection.execute("INSERT INTO destinations (platform, base_url) VALUES ('ultralytics', 'http://h')")
        for number in range(1, runs + 1):
            run, sha256 = str(UUID(int=number)), f"{number:064x}"
            connection.execute("INSERT INTO runs VALUES (?, 'p', 'n', ?, ?)", (run, f"/{number}", LONG_AGO))
            session = (run, LONG_AGO, LONG_AGO, LONG_AGO)
            connection.execute(
                "INSERT INTO sessions (run_id, pid, host, boot_id, started_at, heartbeat_at, ended_at) "
                "VALUES (?, 1, 'h', 'b', ?, ?, ?)",
                session,
            )
            saved = f'{{"files": [{{"role": "last", "path": "/{number}.pt"}}]}}'
            kinds = [("epoch_end", "{}")] * each + [("checkpoint", f'{{"sha256": "{sha256}"}}'), ("model_saved", saved)]
            connection.executemany(
                "INSERT INTO events (run_id, session_id, kind, key, payload, created_at) "
                "VALUES (?, ?, ?, 'last', ?, ?)",
                [(run, number, kind, payload, LONG_AGO) for kind, payload in kinds],
            )
            (last,) = connection.execute("SELECT max(id) FROM events").fetchone()
            connection.execute("INSERT INTO blobs VALUES (?, 1, 'present', ?)", (sha256, LONG_AGO))
            connection.execute(
                "INSERT INTO targets (run_id, destination_id, state, ids, planned_through, stage, last_upload_at) "
                "VALUES (?, 1, 'registered', '{}', ?, 2, ?)",
                (run, last, LONG_AGO),
            )
            connection.executemany(
                "INSERT INTO deliveries (run_id, destination_id, chunk_id, kind, lane, stage, first_event, last_event, "
                "body, sha256, state, attempts, next_attempt_at, held, fence, created_at) "
                "VALUES (?, 1, ?, 'epoch_end', ?, ?, 1, 1, '{}', ?, ?, 1, ?, 0, 1, ?)",
                [(run, f"{run}{i}", "message", i, None, state, LONG_AGO, LONG_AGO) for i in range(1, each + 1)]
                + [(run, f"{run} upload", "upload", 2, sha256, state, LONG_AGO, LONG_AGO)],
            )


def prune(connection: Connection) -> object:
    runs = prunable.prunable(connection, NOW, NOW, [])
    return list(pruning._pieces(connection, set(runs)))


def lost_epochs(connection: Connection) -> object:
    record = TrainerRecord([TrainedEpoch(number, {"train/loss": 0.5}, "results.csv") for number in range(4)])
    over = runs_over(connection, NOW, prunable.pruned(connection))
    return [find(connection, run.id, record, run.generation) for run in over]


LOOKS: dict[str, Callable[[Connection], object]] = {
    "prune": prune,
    "unreferenced": prunable.unreferenced,
    "pruned": prunable.pruned,
    "lost snapshots": lambda connection: salvage.lost_snapshots(connection, NOW),
    "lost epochs": lost_epochs,
    "missing epochs": lambda connection: missing_epochs(connection, ()),
    "live": lambda connection: live_runs(connection, NOW),
    "overview": lambda connection: overview(connection, NOW),
    "report": lambda connection: report.make_report(connection, NOW),
    "replaced": replaced,
    "arrived bytes": lambda connection: eviction.bytes_arrived(connection, 1),
    "replaced checkpoints": lambda connection: eviction._checkpoints_replaced(connection, 1),
    "other checkpoints": lambda connection: eviction.checkpoints_not_final(connection, 1),
    "needed bytes": lambda connection: connection.execute(text(f"SELECT {NEEDED} FROM blobs b")).all(),
    "console": lambda connection: eviction._events(connection, 1),
}


@pytest.fixture(scope="module", params=[False, True], ids=["arrived", "waiting"])
def journals(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("journals")
    for name, runs in (("small", 60), ("large", 240)):
        fill(folder / name, runs, undelivered=request.param)
    return folder / "small", folder / "large"


def steps(folder: Path, look: Callable[[Connection], object]) -> int:
    """Return how many of its instructions SQLite takes."""
    count = 0

    def tick() -> int:
        nonlocal count
        count += 1
        return 0

    with journal.open(folder) as opened, opened._backend.engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        driver.set_progress_handler(tick, 100)
        look(connection)
        driver.set_progress_handler(None, 0)
    return count


@pytest.mark.parametrize("name", LOOKS)
def test_four_times_the_runs_take_about_four_times_the_work(journals: tuple[Path, Path], name: str) -> None:
    small, large = (steps(folder, LOOKS[name]) for folder in journals)
    assert large < 6 * max(small, 5)


def test_a_glance_asks_as_often_however_many_runs_there_are(journals: tuple[Path, Path]) -> None:
    asked = []
    for folder in journals:
        with sqlalchemy_statements() as statements:
            glance = read_only.glance(folder, lambda runs: [run.id for run in runs[:10]])
        assert len(glance.details) == 10
        asked.append(len(statements))
    assert asked[0] == asked[1] < 60


@contextmanager
def sqlalchemy_statements() -> Iterator[list[str]]:
    """Note the statements that are executed while the block runs."""
    statements: list[str] = []

    def note(*of: Any) -> None:
        statements.append(of[2])

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(Engine, "before_cursor_execute", note)


WRITE = """
import sys, journal
with journal.open(sys.argv[1], busy_seconds=0.1) as opened:
    writer = opened.writer()
    run = writer.start_run(project=None, name="meanwhile", save_dir="/x").id
    print(writer.start_session(run))
    writer.close()
"""


def test_others_write_between_the_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "_ROWS", 20)
    fill(tmp_path / "journal", 5)
    with journal.open(tmp_path / "journal") as opened:
        said: list[str] = []
        pieces = 0

        def pause(_: float) -> None:
            nonlocal pieces
            pieces += 1
            if pieces == 2:
                said.extend(finish([python(WRITE, tmp_path / "journal")]))

        pruned = pruning.prune(opened._transaction, utc_now(), utc_now(), given_up=False, pause=pause)
    assert said == ["6\n"]
    assert pieces > 2
    assert (pruned.runs, pruned.events, pruned.blobs) == (5, 30, 5)
    assert rows(tmp_path / "journal", "SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM deliveries)") == [
        (0, 0)
    ]


def test_a_run_that_goes_on_between_the_pieces_keeps_what_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "_ROWS", 2)
    fill(tmp_path / "journal", 2)
    first, second = (str(UUID(int=number)) for number in (1, 2))
    with journal.open(tmp_path / "journal") as opened, closing(opened.writer()) as writer:
        went_on = False

        def pause(_: float) -> None:
            nonlocal went_on
            if not went_on:
                went_on = True
                for number, run in ((1, first), (2, second)):
                    writer.append(run, number, "epoch_end", {}, "new")

        pruning.prune(opened._transaction, utc_now(), utc_now(), given_up=False, pause=pause)
        reports = {run.id: run for run in opened.report()}
    assert (reports[first].pruned, reports[first].events) == (True, 7)
    assert (reports[second].pruned, reports[second].events) == (False, 7)
    assert rows(tmp_path / "journal", "SELECT count(*) FROM deliveries WHERE run_id = ?", second) == [(5,)]


def test_a_run_that_was_cut_short_is_pruned_and_the_next_time_takes_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "_ROWS", 5)
    fill(tmp_path / "journal", 1)
    with journal.open(tmp_path / "journal") as opened:

        def die(_: float) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            pruning.prune(opened._transaction, utc_now(), utc_now(), given_up=False, pause=die)
        assert opened.report()[0].pruned
        assert opened.prune(utc_now()).runs == 1
    assert rows(tmp_path / "journal", "SELECT count(*) FROM events") == [(0,)]
