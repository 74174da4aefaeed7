"""The recorder: events at once, checkpoints in the background, the newest and the final one never left out."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.alarms import Alarm, alarm_main, raising_on_alarm, repeated_alarm
from support.journals import backlog, finish, python, rows

import journal
from journal.checkpoints.salvage import RUN_FILE
from journal.clock import utc_now
from journal.errors import JournalBusy
from journal.outbox.claims import Wanted
from journal.records import Outcome, PlannedDelivery
from uploader.recording.journal_options import JournalOptions
from uploader.recording.recorder import Recorder

Start = Callable[..., Recorder]

IN_A_PROCESS = """
import os, signal, sys, threading
from pathlib import Path
from uploader.recording.recorder import Recorder
from uploader.recording.journal_options import JournalOptions
from uploader.recording.checkpoint_file import CheckpointFile
from uploader.recording.session_writer import SessionWriter
options = JournalOptions(journal=sys.argv[1])
recorder = Recorder.start(options, project=None, name="run", save_dir=Path(sys.argv[2]), resume=False)
best = Path(sys.argv[2]) / "best.pt"
final = {"role": "final", "epoch": 4, "publish": True, "is_best": True}
"""


@pytest.fixture
def start(folder: Path, save_dir: Path) -> Iterator[Start]:
    """Start recorders of the journal; those that a test leaves open are finished."""
    started: list[Recorder] = []

    def begin(*, resume: bool = False, save_dir: Path = save_dir, **options: Any) -> Recorder:
        chosen = JournalOptions(journal=str(folder), **options)
        started.append(Recorder.start(chosen, project="demo", name="train", save_dir=save_dir, resume=resume))
        return started[-1]

    yield begin
    for recorder in started:
        recorder.finish("complete")


def save(recorder: Recorder, path: Path, content: bytes, role: str = "last", epoch: int = 0) -> None:
    path.write_bytes(content)
    recorder.checkpoint(path, role=role, epoch=epoch, publish=True, is_best=False)


def checkpoints(folder: Path) -> list[tuple[str, bytes]]:
    """Return role and content of the checkpoints whose bytes are there."""
    found = rows(folder, "SELECT role, sha256 FROM checkpoints WHERE bytes_are = 'present'")
    return [(role, (folder / "blobs" / sha256).read_bytes()) for role, sha256 in found]


class Gate:
    """Holds the recorder's thread up before each snapshot, until it is let through, and may do something there."""

    def __init__(self, recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
        self.arrived, self.passes = threading.Semaphore(0), threading.Semaphore(0)
        self.then: list[Callable[[], object]] = []
        self._real = recorder._writer.add_checkpoint
        monkeypatch.setattr(recorder._writer, "add_checkpoint", self._hold)

    def _hold(self, *arguments: Any) -> bool:
        self.arrived.release()
        assert self.passes.acquire(timeout=60)
        if self.then:
            self.then.pop(0)()
        return self._real(*arguments)

    def let_through(self, times: int = 1) -> None:
        self.passes.release(times)


def fail(error: Exception) -> Callable[[], object]:
    def raise_it() -> None:
        raise error

    return raise_it


BUSY = fail(JournalBusy("locked by another process"))


# --- a session


def test_a_session_is_recorded(start: Start, folder: Path, save_dir: Path) -> None:
    recorder = start(routes=(("ultralytics", "https://platform.example/"),))
    recorder.event("training_started", {"epochs": 1}, "1")
    save(recorder, save_dir / "last.pt", b"weights", epoch=3)
    assert recorder.wait_for_snapshots()
    recorder.finish("complete")
    run = (recorder.run_id, "demo", "train", str(save_dir))
    assert rows(folder, "SELECT id, project, name, save_dir FROM runs") == [run]
    events = rows(folder, "SELECT kind, key FROM events ORDER BY id")
    assert events == [("training_started", "1"), ("checkpoint", "last")]
    (payload,) = rows(folder, "SELECT payload FROM events WHERE kind = 'checkpoint'")[0]
    expected = {"role": "last", "epoch": 3, "filename": "last.pt", "size": 7, "publish": True, "isBest": False}
    assert json.loads(payload).items() >= expected.items()
    assert rows(folder, "SELECT pid, outcome, ended_at IS NOT NULL FROM sessions") == [(os.getpid(), "complete", 1)]
    assert rows(folder, "SELECT base_url FROM destinations") == [("https://platform.example",)]
    assert (recorder.resumed, recorder.session_number) == (False, 1)


def test_a_start_names_its_run_whatever_loop_it_is_of(start: Start, folder: Path) -> None:
    recorder = start()
    for environment in ({}, {"environment": {"os": "Linux"}}, {"environment": {"uploaderRun": "mine"}}):
        recorder.event("training_started", {"epochs": 1, **environment}, "1")
    recorder.event("epoch_end", {"epoch": 0}, "0")
    recorder.finish("complete")
    told = [json.loads(payload) for (payload,) in rows(folder, "SELECT payload FROM events ORDER BY id")]
    environments = [{"uploaderRun": recorder.run_id}, {"os": "Linux", "uploaderRun": recorder.run_id}]
    starts = [{"epochs": 1, "environment": each} for each in (*environments, {"uploaderRun": "mine"})]
    assert told == [*starts, {"epoch": 0}]


def test_finishing_joins_the_thread_and_is_done_once(start: Start, folder: Path) -> None:
    before = set(threading.enumerate())
    recorder = start()
    (thread,) = (each for each in set(threading.enumerate()) - before if each.name == "uploader-snapshots")
    recorder.finish("complete")
    recorder.finish("failed")
    assert not thread.is_alive()
    assert rows(folder, "SELECT outcome FROM sessions") == [("complete",)]


def test_a_late_event_goes_to_the_session_that_has_ended(start: Start, folder: Path) -> None:
    recorder = start()
    recorder.finish("complete")
    recorder.event("console_output", {"content": "late"})
    assert rows(folder, "SELECT kind, session_id FROM events") == [("console_output", 1)]
    assert rows(folder, "SELECT outcome FROM sessions") == [("complete",)]
    assert recorder._writer._connection._opened is None


def test_options_go_to_other_processes() -> None:
    options = JournalOptions(journal="/j", durability="process", routes=(("ultralytics", "https://x"),))
    assert pickle.loads(pickle.dumps(options)) == options


def test_a_forked_child_that_exits_does_not_end_the_session(folder: Path, save_dir: Path) -> None:
    code = """
if os.fork() == 0:
    sys.exit(0)  # unlike os._exit it runs what was registered for the end
assert os.wait()[1] == 0
import sqlite3
print(sqlite3.connect(sys.argv[1] + "/journal.db").execute("SELECT outcome FROM sessions").fetchall())
recorder.finish("complete")
"""
    (printed,) = finish([python(IN_A_PROCESS + code, folder, save_dir)])
    assert printed.strip() == "[(None,)]"
    assert rows(folder, "SELECT outcome FROM sessions") == [("complete",)]


def test_a_process_that_just_ends_still_has_its_final_checkpoint(folder: Path, save_dir: Path) -> None:
    code = "best.write_bytes(b'weights' * 3_000_000); recorder.checkpoint(best, **final)"
    finish([python(IN_A_PROCESS + code, folder, save_dir)])
    assert checkpoints(folder) == [("final", b"weights" * 3_000_000)]
    assert rows(folder, "SELECT outcome FROM sessions") == [("exited",)]


@pytest.mark.parametrize(("ask", "role"), [("pass", "last"), ("recorder.checkpoint(best, **final)", "final")])
def test_a_process_that_is_killed_before_the_snapshot_leaves_it_to_the_salvage(
    folder: Path, save_dir: Path, ask: str, role: str
) -> None:
    code = f"""
SessionWriter.add_checkpoint = lambda *_: threading.Event().wait()  # a disk that hangs
best.write_bytes(b"weights")
file = {{"role": "last", "path": str(best), "publish": True, "isBest": True}}
recorder.event("model_saved", {{"epoch": 4, "files": [file]}}, "4")
{ask}
os.kill(os.getpid(), signal.SIGKILL)
"""
    process = python(IN_A_PROCESS + code, folder, save_dir)
    process.communicate()
    assert process.returncode == -9
    with journal.open(folder) as opened:
        assert opened.salvage() == 1
    assert checkpoints(folder) == [(role, b"weights")]
    assert rows(folder, "SELECT epoch FROM checkpoints") == [(4,)]


# --- checkpoints


def test_an_unchanged_file_is_taken_once(start: Start, folder: Path, save_dir: Path) -> None:
    recorder, path = start(), save_dir / "last.pt"
    save(recorder, path, b"one")
    recorder.wait_for_snapshots()
    recorder.checkpoint(path, role="last", epoch=1, publish=True, is_best=False)
    recorder.wait_for_snapshots()
    save(recorder, path, b"three")
    recorder.wait_for_snapshots()
    sizes = rows(folder, "SELECT json_extract(payload, '$.size') FROM events WHERE kind = 'checkpoint' ORDER BY id")
    assert sizes == [(3,), (5,)]


def test_a_save_soon_after_a_copy_is_copied_when_somebody_waits_for_it(
    start: Start, folder: Path, save_dir: Path
) -> None:
    recorder = start()
    save(recorder, save_dir / "last.pt", b"one")
    recorder.wait_for_snapshots()
    save(recorder, save_dir / "last.pt", b"three")
    save(recorder, save_dir / "best.pt", b"the best", role="best")  # the first of its role
    until = time.monotonic() + 60
    while len(checkpoints(folder)) < 2 and time.monotonic() < until:
        pass
    assert dict(checkpoints(folder)) == {"last": b"one", "best": b"the best"}
    recorder.finish("failed")
    assert dict(checkpoints(folder)) == {"last": b"three", "best": b"the best"}


@pytest.mark.parametrize("torn", [False, True])
def test_a_process_that_is_killed_before_a_copy_is_due_has_the_trainers_file_or_the_last_copy(
    folder: Path, save_dir: Path, torn: bool
) -> None:
    code = f"""
last = Path(sys.argv[2]) / "last.pt"
def save(content, epoch):
    last.write_bytes(content)
    file = CheckpointFile.of(last, "last", epoch=epoch, publish=True, is_best=True)
    recorder.event("model_saved", {{"epoch": epoch, "files": [file.save_facts()]}}, str(epoch))
    recorder.snapshot(file)
save(b"epoch 0", 0)
recorder.wait_for_snapshots()
save(b"epoch 1", 1)
if {torn}:
    last.write_bytes(b"epo")
os.kill(os.getpid(), signal.SIGKILL)
"""
    process = python(IN_A_PROCESS + code, folder, save_dir)
    process.communicate()
    assert process.returncode == -9
    with journal.open(folder) as opened:
        assert opened.salvage() == (0 if torn else 1)
    assert checkpoints(folder) == [("last", b"epoch 0" if torn else b"epoch 1")]


def test_a_file_that_is_not_there_is_no_trouble(start: Start, folder: Path, save_dir: Path) -> None:
    recorder = start()
    recorder.checkpoint(save_dir / "last.pt", role="final", epoch=0, publish=True, is_best=False)
    recorder.finish("complete")
    assert rows(folder, "SELECT count(*) FROM events") == [(0,)]


def test_the_newest_of_many_saves_is_taken(
    start: Start, folder: Path, save_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder, path = start(), save_dir / "last.pt"
    gate = Gate(recorder, monkeypatch)
    save(recorder, path, b"first")
    assert gate.arrived.acquire(timeout=60)
    for number in range(5):
        save(recorder, path, b"later %d" % number + b"." * number, epoch=number)
    gate.let_through(2)
    assert recorder.wait_for_snapshots(60)
    assert checkpoints(folder) == [("last", b"later 4....")]
    assert rows(folder, "SELECT count(*) FROM events") == [(1,)]


def test_roles_do_not_replace_each_other(
    start: Start, folder: Path, save_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = start()
    gate = Gate(recorder, monkeypatch)
    save(recorder, save_dir / "last.pt", b"last")
    assert gate.arrived.acquire(timeout=60)
    save(recorder, save_dir / "best.pt", b"best", "best")
    recorder.checkpoint(save_dir / "best.pt", role="final", epoch=0, publish=True, is_best=True)
    gate.let_through(3)
    recorder.finish("complete")
    assert sorted(checkpoints(folder)) == [("best", b"best"), ("final", b"best"), ("last", b"last")]
    assert rows(folder, "SELECT kind FROM events ORDER BY id")[0] == ("model_saved",)


def test_a_final_checkpoint_that_is_touched_meanwhile_is_taken_again(
    start: Start, folder: Path, save_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder, path = start(), save_dir / "best.pt"
    gate = Gate(recorder, monkeypatch)
    gate.then = [lambda: path.write_bytes(b"stripped")]
    gate.let_through(2)
    save(recorder, path, b"whole", "final")
    recorder.finish("complete")
    assert checkpoints(folder) == [("final", b"stripped")]


def test_a_final_checkpoint_outlasts_a_busy_journal(
    start: Start, folder: Path, save_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = start()
    gate = Gate(recorder, monkeypatch)
    gate.then = [BUSY, BUSY]
    gate.let_through(3)
    save(recorder, save_dir / "best.pt", b"final", "final")
    recorder.finish("complete")
    assert checkpoints(folder) == [("final", b"final")]


def test_a_final_checkpoint_that_never_rests_is_given_up(
    start: Start, folder: Path, save_dir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    recorder, path = start(), save_dir / "best.pt"
    gate = Gate(recorder, monkeypatch)
    contents = [b"x" * size for size in range(1, 50)]
    gate.then = [lambda content=content: path.write_bytes(content) for content in contents]  # type: ignore[misc]
    gate.let_through(50)
    save(recorder, path, b"", "final")
    recorder.finish("complete")
    assert checkpoints(folder) == []
    assert "best.pt was not snapshotted" in caplog.text


def test_a_checkpoint_that_failed_may_be_asked_for_again(
    start: Start, folder: Path, save_dir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    recorder, path = start(), save_dir / "best.pt"
    gate = Gate(recorder, monkeypatch)
    gate.then = [BUSY]
    gate.let_through(2)
    save(recorder, path, b"best", "best")
    recorder.wait_for_snapshots()
    assert "locked by another process" in caplog.text
    recorder.checkpoint(path, role="best", epoch=1, publish=True, is_best=True)
    recorder.wait_for_snapshots()
    assert checkpoints(folder) == [("best", b"best")]


def test_the_thread_survives_what_nobody_foresaw(
    start: Start, folder: Path, save_dir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = start()
    gate = Gate(recorder, monkeypatch)
    gate.then = [fail(RuntimeError("unforeseen"))]
    gate.let_through(2)
    save(recorder, save_dir / "last.pt", b"last")
    assert recorder.wait_for_snapshots(60)
    save(recorder, save_dir / "best.pt", b"final", "final")
    recorder.finish("complete")
    assert checkpoints(folder) == [("final", b"final")]
    assert "unforeseen" in caplog.text


# --- resuming


def test_a_resumed_training_is_the_same_run(start: Start, folder: Path) -> None:
    first = start()
    first.finish("failed")
    second = start(resume=True)
    assert (second.run_id, second.resumed, second.session_number) == (first.run_id, True, 2)
    assert rows(folder, "SELECT count(*) FROM runs") == [(1,)]


@pytest.mark.parametrize("content", [None, b"", b"{}", b"[]", b'{"run": null}', b'{"run": "no uuid"}', b"\xff"])
def test_without_its_file_the_run_is_found_by_its_folder(start: Start, save_dir: Path, content: bytes | None) -> None:
    first = start()
    first.finish("failed")
    (save_dir / RUN_FILE).unlink()
    if content is not None:
        (save_dir / RUN_FILE).write_bytes(content)
    second = start(resume=True)
    assert (second.run_id, second.resumed) == (first.run_id, True)


def test_with_its_file_the_run_is_found_in_another_folder(start: Start, save_dir: Path, tmp_path: Path) -> None:
    first = start()
    first.finish("failed")
    save_dir.rename(tmp_path / "moved")
    assert start(resume=True, save_dir=tmp_path / "moved").run_id == first.run_id


def test_a_training_that_is_not_resumed_is_another_run(start: Start, folder: Path) -> None:
    assert start().run_id != start().run_id
    assert rows(folder, "SELECT count(*) FROM runs") == [(2,)]


def test_a_resumed_training_that_nobody_knows_is_a_new_run(start: Start) -> None:
    recorder = start(resume=True)
    assert (recorder.resumed, recorder.session_number) == (False, 1)


def test_a_folder_whose_name_is_no_text_is_recorded_and_found(start: Start, folder: Path, tmp_path: Path) -> None:
    strange = tmp_path / os.fsdecode(b"train-\xff")
    strange.mkdir()
    first = start(save_dir=strange)
    first.event("epoch_end", {"where": strange})
    first.finish("failed")
    (strange / RUN_FILE).unlink()
    assert start(save_dir=strange, resume=True).run_id == first.run_id
    assert rows(folder, "SELECT save_dir FROM runs")[0][0].endswith("train-\\udcff")


# --- what the platform says


def tell(folder: Path, kind: str, detail: str) -> None:
    """Deliver the next event and have the platform answer with a signal, as a drain does."""
    with journal.open(folder) as opened:
        outbox = opened.outbox()
        (target,) = outbox.routes.targets()
        (event,) = backlog(outbox, target.run.id, after=target.planned_through, limit=1).events
        planned = PlannedDelivery("training_started", "message", target.stage, event.id, event.id, event.payload)
        outbox.plans.write(target, [planned], through=event.id, stage=target.stage)
        claim = outbox.claims.take(
            target.destination.id, Wanted("message", 1), owner="test", lease_seconds=60, now=utc_now()
        )[0]
        outbox.settlement.record([Outcome(claim, "delivered", ids={}, signals=((kind, detail),))], now=utc_now())
        outbox.close()


def test_a_cancellation_is_heard(start: Start, folder: Path) -> None:
    recorder = start(routes=(("ultralytics", "https://platform.example"),))
    recorder.event("training_started", {}, "1")
    assert recorder.cancelled() is None
    tell(folder, "paused", "not a cancellation")
    assert recorder.cancelled() is None
    recorder.event("epoch_end", {}, "0")
    tell(folder, "cancelled", "by hand")
    assert recorder.cancelled() == "by hand"


def test_a_resumed_training_does_not_heed_the_cancellation_of_the_one_before(start: Start, folder: Path) -> None:
    first = start(routes=(("ultralytics", "https://platform.example"),))
    first.event("training_started", {}, "1")
    first.event("training_complete", {})
    tell(folder, "cancelled", "by hand")
    first.finish("complete")
    resumed = start(resume=True)
    tell(folder, "cancelled", "in the answer to what the first session had left")
    assert resumed.cancelled() is None
    resumed.event("training_started", {}, "2")
    tell(folder, "cancelled", "again")
    assert resumed.cancelled() == "again"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of a thread struck in being started
def test_a_signal_handler_that_raises_in_the_midst_of_an_event_reaches_who_writes_and_halves_nothing(
    start: Start, folder: Path
) -> None:
    recorder = start(durability="process")
    written: list[int] = []
    struck: list[int] = []
    with repeated_alarm() as alarm:
        for number in range(300):
            try:
                alarm.is_armed = True
                recorder.event("epoch_end", {"epoch": number, "metrics": {"loss": Loss(number)}}, str(number))
                written.append(number)
                alarm.is_armed = False
            except Alarm:
                struck.append(number)
    recorder.event("epoch_end", {"epoch": 300}, "300")
    there = [int(key) for (key,) in rows(folder, "SELECT key FROM events WHERE kind = 'epoch_end' ORDER BY id")]
    assert there == sorted(set(there))  # none twice, none before another
    assert {*written} <= {*there} <= {*written, *struck, 300}
    assert struck
    numbers = [seq for (seq,) in rows(folder, "SELECT seq FROM events ORDER BY id")]
    assert numbers == sorted(numbers)
    assert rows(folder, "PRAGMA integrity_check") == [("ok",)]


@pytest.mark.parametrize("call", ["finish", "checkpoint"])
def test_what_is_being_written_as_a_signal_handler_raises_is_written(
    start: Start, folder: Path, save_dir: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    recorder = start()
    was_struck = threading.Event()

    def is_struck(real: Callable[..., Any], *arguments: Any) -> None:
        alarm_main()
        assert was_struck.wait(60)
        real(*arguments)

    for name in ("event", "close"):
        monkeypatch.setattr(recorder._writer, name, partial(is_struck, getattr(recorder._writer, name)))
    calls: dict[str, Callable[[], object]] = {
        "finish": lambda: recorder.finish("complete"),
        "checkpoint": lambda: save(recorder, save_dir / "best.pt", b"weights", role="final"),
    }
    try:
        with raising_on_alarm(), pytest.raises(Alarm):
            calls[call]()
    finally:
        was_struck.set()
    monkeypatch.undo()
    recorder.told()  # after what was interrupted
    if call == "finish":
        assert rows(folder, "SELECT outcome FROM sessions") == [("complete",)]
    else:
        assert rows(folder, "SELECT kind FROM events WHERE kind != 'checkpoint'") == [("model_saved",)]


class Loss:
    """A value of the caller's own class, which is asked for its number in the caller's thread."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._thread = threading.current_thread()

    def tolist(self) -> float:
        return self._number / 4 if threading.current_thread() is self._thread else -1.0


def test_values_of_the_callers_are_read_in_the_callers_thread(start: Start, folder: Path) -> None:
    recorder = start()
    recorder.event("epoch_end", {"loss": Loss(3)}, "0")
    assert rows(folder, "SELECT json_extract(payload, '$.loss') FROM events WHERE kind = 'epoch_end'") == [(0.75,)]


@pytest.mark.parametrize("call", ["wait_for_snapshots", "finish"])
def test_a_wait_for_snapshots_that_is_interrupted_ends(
    start: Start, save_dir: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    recorder = start()
    gate = Gate(recorder, monkeypatch)
    save(recorder, save_dir / "last.pt", b"weights")
    assert gate.arrived.acquire(timeout=60)

    def press() -> None:
        while not recorder._snapshots._wake._waiters:  # type: ignore[attr-defined]
            pass
        alarm_main()

    with raising_on_alarm():
        thread = threading.Thread(target=press)
        thread.start()
        try:
            with pytest.raises(Alarm):
                getattr(recorder, call)(*["failed"] * (call == "finish"))
        finally:
            thread.join()
            gate.passes.release()
    recorder.told()  # after what was interrupted


def test_an_event_in_whose_transaction_a_signal_handler_forks_is_kept_and_raises_nothing(tmp_path: Path) -> None:
    code = f"""
import os, signal, sys
from pathlib import Path
from journal.sessions import session_rows
from uploader.recorder import Recorder
from uploader.sink import JournalOptions

find, children = session_rows.find, []

def find_and_fork(*arguments):
    if not children:
        signal.raise_signal(signal.SIGALRM)
    return find(*arguments)

signal.signal(signal.SIGALRM, lambda *_: children.append(os.fork()))
folder = Path({str(tmp_path)!r})
recorder = Recorder.start(JournalOptions(str(folder / "journal")), project="p", name="n", save_dir=folder, resume=False)
recorder._writer._connection.ready.writer._rows.clear()
session_rows.find = find_and_fork
recorder.event("epoch_end", {{"epoch": 0}}, "0")
if children == [0]:
    os._exit(0)
assert os.waitpid(children[0], 0)[1] == 0
recorder.event("epoch_end", {{"epoch": 1}}, "1")
recorder.finish("complete")
"""
    environment = {**os.environ, "UPLOADER_FALLBACK": str(tmp_path / "fallback")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, timeout=60, capture_output=True, text=True)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    written = "".join(path.read_text() for path in (tmp_path / "fallback").glob("*.jsonl"))
    stored = {key for (key,) in rows(tmp_path / "journal", "SELECT key FROM events WHERE kind = 'epoch_end'")}
    assert "0" in stored or '"epoch":0' in written, written
