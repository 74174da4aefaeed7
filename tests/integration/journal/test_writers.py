"""Writers: many processes and a drain at once, and what a commit means."""

from __future__ import annotations

import json
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from support.disks import make_read_only, small_disk
from support.journals import Bench, backlog, bench, finish, insist, python, rows

import journal
from journal.clock import to_text, utc_now
from journal.errors import JournalBusy, JournalUnwritable
from journal.outbox.backlog import open_deliveries
from journal.records import Outcome
from journal.storage.database import Durability, make_engine

HEAVY = {"torch", "requests", "numpy", "starlette", "uvicorn", "click", "ultralytics", "urllib3", "rich", "tqdm"}


LOOK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
print(connection.execute("SELECT count(*) FROM events").fetchone()[0])
connection.close()
"""


def test_a_journal_that_one_process_has_opened_twice_stays_locked(at: Bench) -> None:
    """Else whoever looks into it from outside would be the last to close it, and delete the log that is written to."""
    with journal.open(at.journal.path) as again, closing(again.writer()) as second:
        second.append(at.run.id, at.session_id, "epoch_end", {}, "0")
        for epoch in range(1, 4):
            at.event("epoch_end", {}, str(epoch))
            assert finish([python(LOOK, at.journal.database)]) == [f"{epoch + 1}\n"]
    at.event("epoch_end", {}, "4")
    assert finish([python(LOOK, at.journal.database)]) == ["5\n"]


def test_many_processes_and_a_drain_at_once_lose_nothing(at: Bench) -> None:
    code = """
import sys, journal
sys.path.append("tests")
from support.journals import insist
folder, run, name = sys.argv[1:]
with insist(journal.open, folder) as opened:
    writer = opened.writer()
    session = insist(writer.start_session, run)
    for number in range(200):
        print(insist(writer.append, run, session, "epoch_end", {"writer": name, "epoch": number}, str(number)))
    writer.close()
"""
    at.register()
    writers = [python(code, at.journal.path, at.run.id, name) for name in range(6)]
    delivered: list[str] = []
    while any(writer.poll() is None for writer in writers) or at.behind() or is_open(at):
        events = backlog(at.outbox, at.run.id, after=at.target().planned_through, limit=100).events
        insist(at.plan, *(at.planned(event.id, body=event.payload) for event in events))
        claims = insist(at.claim, limit=50)
        insist(at.record, *(Outcome(claim, "delivered") for claim in claims))
        delivered += [claim.body for claim in claims]
    acknowledged = [[int(line) for line in printed.split()] for printed in finish(writers)]
    stored = dict(rows(at.journal.path, "SELECT id, payload FROM events WHERE kind = 'epoch_end'"))
    assert sorted(stored) == sorted(number for numbers in acknowledged for number in numbers)
    for name, numbers in enumerate(acknowledged):
        assert numbers == sorted(numbers)
        own = [json.loads(stored[number]) for number in numbers]
        assert own == [{"writer": str(name), "epoch": epoch} for epoch in range(200)]
    assert sorted(delivered) == sorted(stored.values())


def is_open(at: Bench) -> int:
    target = at.target()
    with at.outbox.begin(read_only=True) as connection:
        return open_deliveries(connection, target)


def test_what_was_acknowledged_survives_sigkill(folder: Path) -> None:
    code = """
import sys, journal
writer = journal.open(sys.argv[1]).writer()
run = writer.start_run(project=None, name="run", save_dir="/x").id
session = writer.start_session(run)
while True:
    print(writer.append(run, session, "epoch_end", {"filling": "x" * 500}), flush=True)
"""
    for wanted in (1, 7, 60):
        victim = python(code, folder)
        assert victim.stdout is not None
        acknowledged = [int(victim.stdout.readline()) for _ in range(wanted)]
        victim.kill()
        acknowledged += [int(line) for line in victim.stdout.read().splitlines() if line]
        victim.wait()
        victim.stdout.close()
        assert {event for (event,) in rows(folder, "SELECT id FROM events")} >= set(acknowledged)
    assert rows(folder, "PRAGMA integrity_check") == [("ok",)]


@pytest.mark.parametrize(("durability", "synchronous"), [("strict", 2), ("full", 1), ("process", 1)])
def test_connections_are_set_up_as_promised(folder: Path, durability: Durability, synchronous: int) -> None:
    with journal.open(folder, durability=durability) as opened:
        engine = make_engine(opened.database, durability)
        with engine.connect() as connection:
            pragmas = {
                name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("synchronous", "journal_mode", "wal_autocheckpoint", "mmap_size", "foreign_keys")
            }
    assert pragmas == {
        "synchronous": synchronous,
        "journal_mode": "wal",
        "wal_autocheckpoint": 0,
        "mmap_size": 0,
        "foreign_keys": 1,
    }


def test_the_log_is_folded_back_only_when_told(at: Bench) -> None:
    before = at.journal.database.stat().st_size
    for _ in range(300):
        at.event(payload={"filling": "x" * 5000})
    assert at.journal.database.stat().st_size == before
    assert at.journal.wal_bytes() > 300 * 5000
    assert at.writer.fold_wal()
    assert at.journal.wal_bytes() < 5_000  # the page that a new log begins with
    assert at.journal.database.stat().st_size > before


def test_a_reader_in_the_way_of_the_fold_is_no_error(folder: Path) -> None:
    with bench(folder) as at, closing(sqlite3.connect(folder / "journal.db")) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM runs").fetchall()
        at.event()
        with journal.open(folder, busy_seconds=0.05) as impatient:
            assert impatient.fold_wal() is False
    assert rows(folder, "SELECT count(*) FROM events") == [(1,)]


def test_a_lock_that_another_process_keeps_is_said_in_time(folder: Path) -> None:
    with bench(folder) as at, journal.open(folder, busy_seconds=0.05) as impatient:
        writer = impatient.writer()
        writer.find_run(run_id=at.run.id)
        with closing(sqlite3.connect(folder / "journal.db", isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            with pytest.raises(JournalBusy, match="locked by another process"):
                writer.append(at.run.id, at.session_id, "epoch_end", {})
            with pytest.raises(JournalBusy):
                writer.heartbeat(at.session_id)
            holder.execute("COMMIT")
        assert writer.append(at.run.id, at.session_id, "epoch_end", {})
        writer.close()


def test_threads_share_a_writer(at: Bench) -> None:
    threads = [threading.Thread(target=lambda: [at.event() for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert rows(at.journal.path, "SELECT count(*), count(DISTINCT id) FROM events") == [(200, 200)]


def test_an_event_of_an_unknown_session_is_refused(at: Bench) -> None:
    with pytest.raises(journal.JournalError, match="FOREIGN KEY"):
        at.writer.append(at.run.id, 999, "epoch_end", {})
    assert at.event()


def test_a_closed_writer_opens_again(at: Bench) -> None:
    at.writer.close()
    at.writer.close()
    assert at.event()


def test_runs_are_found_by_id_and_by_folder(at: Bench) -> None:
    again = at.writer.start_run(project="other", name="other", save_dir="/elsewhere", run_id=at.run.id)
    assert again == at.run
    newer = at.writer.start_run(project=None, name="newer", save_dir=at.run.save_dir)
    assert at.writer.find_run(run_id=at.run.id) == at.run
    assert at.writer.find_run(save_dir=at.run.save_dir) == newer
    assert at.writer.find_run(save_dir="/nowhere") is None


@pytest.mark.parametrize(
    ("outcome", "state"), [("complete", "finished"), ("failed", "failed"), ("exited", "interrupted")]
)
def test_without_a_milestone_the_sessions_end_tells_the_state(at: Bench, outcome: str, state: str) -> None:
    at.event("usage", {"name": "predict"}, "predict")
    at.writer.end_session(at.session_id, outcome)
    assert at.journal.report()[0].state == state
    at.event("training_started", key="1")
    assert at.journal.report()[0].state == "interrupted"


def test_what_was_written_is_there_for_a_report(at: Bench) -> None:
    at.register()
    at.event("epoch_end", {"epoch": 0}, "0")
    at.event("epoch_end", {"epoch": 0}, "0")
    (report,) = at.journal.report()
    assert (report.state, report.epochs, report.events) == ("running", 1, 3)
    (target,) = report.targets
    assert (target.state, target.delivered, target.pending, target.unplanned) == ("registered", 1, 0, 2)
    at.plan(at.message(body="{}" * 50))
    (claim,) = at.claim()
    at.record(Outcome(claim, "retry", error="503"))
    at.writer.end_session(at.session_id, "exited")
    (report,) = at.journal.report()
    assert report.state == "interrupted"
    assert (report.targets[0].pending, report.targets[0].pending_bytes) == (1, 100)
    assert report.targets[0].last_error == "503"
    assert report.targets[0].oldest_at is not None
    assert report.targets[0].oldest_at <= to_text(utc_now())


def test_the_final_evaluation_is_no_epoch(at: Bench) -> None:
    validated = {"metrics/mAP50(B)": 0.5}
    for epoch in range(2):
        at.event("epoch_end", {"epoch": epoch, "metrics": {**validated, "val/box_loss": 1.0}}, str(epoch))
    at.event("epoch_end", {"epoch": 2, "metrics": {"train/box_loss": 1.0, **validated, "lr": 0.1}}, "2")
    assert [report.epochs for report in at.journal.report()] == [2]
    assert rows(at.journal.path, "SELECT epochs FROM run_overview") == [(2,)]
    at.event("epoch_end", {"epoch": 2, "metrics": {"train/box_loss": 1.0, "lr": 0.1}}, "2")  # resumed, without val
    assert [report.epochs for report in at.journal.report()] == [3]


def test_a_first_append_pulls_in_nothing_heavy(folder: Path) -> None:
    code = """
import sys, journal
with journal.open(sys.argv[1]) as opened:
    writer = opened.writer()
    run = writer.start_run(project=None, name="run", save_dir="/x").id
    writer.append(run, writer.start_session(run), "epoch_end", {"epoch": 0, "metrics": {"loss": float("nan")}})
    writer.close()
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""
    (printed,) = finish([python(code, folder)])
    assert HEAVY.isdisjoint(printed.split())


def test_a_disk_that_became_read_only_is_said(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "40m") as disk:
        journal.open(disk / "journal").close()
        make_read_only(disk)
        with pytest.raises(JournalUnwritable, match="mount the disk for writing"):
            journal.open(disk / "journal")
