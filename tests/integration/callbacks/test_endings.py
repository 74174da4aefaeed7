"""Every training is a recording of its own, and is over when it is over, whatever upstream tells of its end."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.alarms import Alarm, raising_on_alarm
from support.results import write_results
from support.threads import left_threads
from support.trainers import SmallTrainer

from uploader.callbacks.trainer_callbacks import recording_of
from uploader.live.current_training import closing_trainings
from uploader.recording.serial_executor import CallerTask, SerialExecutor

pytestmark = pytest.mark.usefixtures("ultralytics")

ROOT = Path(__file__).parents[3]
Build = Callable[..., SmallTrainer]


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Build]:
    """Build trainers; afterwards the process is as it was."""
    before = sys.stdout, sys.stderr
    threads = threading.enumerate()

    def make(name: str = "run", **options: Any) -> SmallTrainer:
        return SmallTrainer(tmp_path, name, **options)

    yield make
    assert (sys.stdout, sys.stderr) == before
    assert left_threads(besides=threads) == []


@pytest.mark.parametrize("callback", ["on_model_save", "on_fit_epoch_end"])
def test_a_callback_asks_the_waiting_thread_once(build: Build, monkeypatch: pytest.MonkeyPatch, callback: str) -> None:
    """And for what it has begun with, so that at most one thread has to be woken for that."""
    asked: list[object] = []
    begun_with: list[object] = []
    ask, run = SerialExecutor.run_in_caller, SerialExecutor.run

    def asking(self: SerialExecutor, part: CallerTask[Any]) -> Any:
        asked.append(part)
        return ask(self, part)

    def running(self: SerialExecutor, *arguments: Any, first: CallerTask[Any], **options: Any) -> Exception | None:
        begun_with.append(first)
        return run(self, *arguments, first=first, **options)

    trainer = build()
    trainer.ours.on_pretrain_routine_end(trainer)
    trainer.last.write_bytes(b"weights")
    with monkeypatch.context() as counted:
        counted.setattr(SerialExecutor, "run_in_caller", asking)
        counted.setattr(SerialExecutor, "run", running)
        getattr(trainer.ours, callback)(trainer)
    trainer.ours.teardown(trainer)
    assert len(asked) == 1
    assert asked == begun_with


def test_the_callbacks_of_a_training_share_a_thread(build: Build) -> None:
    """A new one would wait for a core, which the training has."""
    before = threading.enumerate()
    trainer, threads = build(), list[threading.Thread]()
    for callback in (trainer.ours.on_pretrain_routine_end, trainer.ours.on_train_epoch_start):
        callback(trainer)
        ours = [each for each in threading.enumerate() if each.name == "uploader-callbacks"]
        threads += [each for each in ours if each not in before]
    trainer.ours.teardown(trainer)
    assert len(threads) == 2
    assert len({*threads}) == 1


def ends(journal: Any) -> dict[str, str | None]:
    """Return how each run ended, and the last event that says so."""
    query = "SELECT r.name, s.outcome FROM sessions s JOIN runs r ON r.id = s.run_id ORDER BY s.id"
    return dict(journal.rows(query))


def said(journal: Any, name: str) -> str:
    """Return the console text of a run, without what upstream's logger says of ours."""
    query = "SELECT json_extract(e.payload, '$.content') FROM events e JOIN runs r ON r.id = e.run_id"
    chosen = "WHERE e.kind = 'console_output' AND r.name = ? ORDER BY e.id"
    lines = "\n".join(text for (text,) in journal.rows(f"{query} {chosen}", name)).splitlines()
    return "".join(line.partition("] ")[2] for line in lines if "Uploader:" not in line)


def test_two_that_are_built_and_then_train_are_two(build: Build, journal: Any) -> None:
    both = [build(name, during=lambda trainer: print(trainer.args.name, end=" ")) for name in ("teacher", "student")]
    for trainer in both:
        trainer.train()
    assert ends(journal) == {"teacher": "complete", "student": "complete"}
    assert len(journal.events("training_complete")) == 2
    assert (said(journal, "teacher"), said(journal, "student")) == ("teacher", "student")


def test_one_within_another_is_one_of_its_own(build: Build, journal: Any) -> None:
    def within(trainer: Any) -> None:
        print("before.")
        build("inner", during=lambda _: print("within.")).train()
        print("after.")

    build("outer", during=within).train()
    assert ends(journal) == {"outer": "complete", "inner": "complete"}
    assert (said(journal, "outer"), said(journal, "inner")) == ("before.after.", "within.")


def test_two_in_threads_wait_for_nothing_of_each_other(build: Build, journal: Any) -> None:
    meet = threading.Barrier(3, timeout=60)

    def print_together(trainer: Any) -> None:
        meet.wait()
        print(f"{trainer.args.name}.")
        meet.wait()
        meet.wait()

    threads = [threading.Thread(target=lambda name=name: build(name, during=print_together).train()) for name in "ab"]  # type: ignore[misc]
    for thread in threads:
        thread.start()
    meet.wait()
    meet.wait()
    print("everybody's.")
    meet.wait()
    for thread in threads:
        thread.join()
    assert ends(journal) == {"a": "complete", "b": "complete"}
    assert (said(journal, "a"), said(journal, "b")) == ("a.everybody's.", "b.everybody's.")


def test_a_trainer_that_trains_twice_has_two_sessions_of_one_run(build: Build, journal: Any) -> None:
    trainer = build()
    trainer.train()
    trainer.epochs = 2
    trainer.train()
    assert journal.outcomes() == ["complete", "complete"]
    assert len(journal.runs()) == 1
    keys = journal.rows("SELECT key FROM events WHERE kind = 'training_started' ORDER BY id")
    assert keys == [("1",), ("2",)]


def test_one_that_could_not_be_built_has_failed_when_its_error_is_let_go(build: Build, journal: Any) -> None:
    before = sys.stdout
    try:
        build(fails=True)
    except FileNotFoundError as error:
        print("told the user:", error)
    print("of something else")
    collected(journal)
    assert sys.stdout is before
    assert journal.events("training_failed") == [{"error": "no such data", "code": "FileNotFoundError"}]
    assert ends(journal) == {"run": "failed"}
    assert said(journal, "run") == "told the user:no such data"  # upstream's logger makes a line of each part


def test_its_words_are_not_known_where_nobody_tells_them(build: Build, journal: Any) -> None:
    with pytest.raises(FileNotFoundError):
        build(fails=True)
    collected(journal)
    (failed,) = journal.events("training_failed")
    assert failed["code"] == "Unknown"


def test_one_that_failed_in_a_call_is_over_with_the_call(build: Build, journal: Any) -> None:
    kept: list[BaseException] = []
    before = sys.stdout
    for _ in range(2):
        try:
            with closing_trainings():
                build(fails=True)
        except FileNotFoundError as error:
            kept.append(error)  # as a future keeps it, and with it the trainer
        assert sys.stdout is before
    assert [failed["code"] for failed in journal.events("training_failed")] == ["FileNotFoundError"] * 2


def test_a_version_that_does_not_tear_down_is_over_with_the_call(build: Build, journal: Any) -> None:
    def fail(trainer: Any) -> None:
        raise ValueError("in an epoch")

    trainer = build(tears_down=False, during=fail)
    with pytest.raises(ValueError, match="in an epoch"), closing_trainings(trainer):
        trainer.train()
    assert journal.events("training_failed") == [{"error": "in an epoch", "code": "ValueError"}]


def test_an_error_that_was_handled_within_is_no_failure(build: Build, journal: Any) -> None:
    def handle(trainer: Any) -> None:
        try:
            trainer.get_dataset(True)
        except FileNotFoundError as error:
            print("went on without:", error)

    build(during=handle).train()
    assert journal.events("training_failed") == []


def test_a_trainer_that_was_built_and_not_used_has_not_failed(build: Build, journal: Any) -> None:
    trainer = build()
    recording: Any = recording_of(trainer)
    recording._is_built = True  # as of one that ours was attached to
    del trainer, recording
    collected(journal)
    assert journal.events("training_failed") == []
    assert ends(journal) == {"run": "abandoned"}


def collected(journal: Any) -> None:
    """Wait until what nobody holds any more is collected, and the threads that end its recording are gone.

    One that a signal struck while it was being started, in another test, is listed for good and does not live.
    """
    gc.collect()
    for thread in threading.enumerate():
        if thread.name.startswith("uploader-") and thread.is_alive():
            thread.join(60)


def test_a_child_that_trains_on_is_a_session_of_its_own(build: Build, journal: Any) -> None:
    trainer = build()
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        trainer.train()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    recording: Any = recording_of(trainer)
    recording.close(None)
    assert sorted(journal.outcomes()) == ["abandoned", "complete"]
    assert len(journal.runs()) == 1


IN_A_PROCESS = f"""
import atexit, os, signal, sys, threading
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what it runs in the background
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}, {str(ROOT / "scripts" / "training")!r}]
from torchvision_ops import ensure_torchvision_ops
ensure_torchvision_ops()
from journal.checkpoints import blobs
from support.results import write_results
from support.trainers import SmallTrainer
copying, go_on = threading.Event(), threading.Event()
snapshot = blobs.BlobStore.snapshot
def slowly(*arguments, **options):
    copying.set()
    go_on.wait()
    return snapshot(*arguments, **options)
blobs.BlobStore.snapshot = slowly
def press(*_):
    os.kill(os.getpid(), signal.SIGINT)
"""


def run(code: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    code = (
        f"{IN_A_PROCESS}\ntrainer = SmallTrainer(Path({str(tmp_path)!r}), **OPTIONS)\n".replace("OPTIONS", "{}") + code
    )
    return subprocess.run([sys.executable, "-c", code], timeout=120, capture_output=True, text=True)


def test_the_end_is_written_before_it_is_waited_for_and_a_second_interrupt_ends_the_waiting(
    journal: Any, tmp_path: Path
) -> None:
    code = f"""
import sqlite3, time
def during(trainer):
    if trainer.epoch == 1:
        copying.wait()
        threading.Thread(target=second, daemon=True).start()
        raise KeyboardInterrupt
def second():
    ended = "SELECT 1 FROM events WHERE kind = 'training_failed'"
    while not sqlite3.connect({str(journal.folder / "journal.db")!r}).execute(ended).fetchall():
        time.sleep(0.01)
    while True:  # a first one may be heard before anything is waited for
        press()
        time.sleep(0.5)
trainer.epochs, trainer.during = 3, during
trainer.train()
"""
    ended = run(code, tmp_path)
    assert ended.returncode == -signal.SIGINT or "KeyboardInterrupt" in ended.stderr
    assert journal.events("training_failed") == [{"error": "KeyboardInterrupt", "code": "KeyboardInterrupt"}]
    assert journal.outcomes() == ["failed"]


def test_what_ends_the_process_while_it_waits_finds_the_end_written(journal: Any, tmp_path: Path) -> None:
    code = f"""
import sqlite3, time
def during(trainer):
    if trainer.epoch == 1:
        copying.wait()
        threading.Thread(target=terminate, daemon=True).start()
        raise KeyboardInterrupt
def terminate():
    ended = "SELECT 1 FROM events WHERE kind = 'training_failed'"
    while not sqlite3.connect({str(journal.folder / "journal.db")!r}).execute(ended).fetchall():
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGTERM)
trainer.epochs, trainer.during = 3, during
trainer.train()
"""
    assert run(code, tmp_path).returncode == -signal.SIGTERM
    assert len(journal.events("training_failed")) == 1


def test_a_time_limit_that_strikes_the_last_callback_gets_through_and_the_results_are_there(
    journal: Any, tmp_path: Path
) -> None:
    code = """
class SoftLimit(Exception): ...
def strike(*_):
    go_on.set()
    raise SoftLimit
signal.signal(signal.SIGALRM, strike)
threading.Thread(target=lambda: (copying.wait(), os.kill(os.getpid(), signal.SIGALRM)), daemon=True).start()
trainer.best = trainer.save_dir / "best.pt"
trainer.best.write_bytes(b"best")
trainer.ours.__class__.on_model_save = lambda ours, trainer: None  # so that the first copy is that of the result
try:
    trainer.train()
except SoftLimit:
    print("heard")
"""
    ended = run(code, tmp_path)
    assert ended.stdout.endswith("heard\n"), ended.stderr
    assert len(journal.events("training_complete")) == 1
    assert journal.events("training_failed") == []
    assert journal.outcomes() == ["complete"]


def test_a_training_within_a_lock_that_everything_of_the_persons_takes(journal: Any, tmp_path: Path) -> None:
    """Metrics, attributes, errors, streams and log handlers: their thread has the lock, and waits for our work."""
    code = """
import logging
lock = threading.RLock()
class Metric:
    def tolist(self):
        with lock:
            return 0.25
class Failed(Exception):
    def __str__(self):
        with lock:
            return "in their own words"
class Stream:
    def __init__(self, stream):
        self.stream = stream
    def write(self, text):
        with lock:
            return self.stream.write(text)
    def flush(self):
        pass
class Handler(logging.Handler):
    def emit(self, record):
        with lock:
            print("handled:", record.getMessage(), "in", threading.current_thread().name)
class Locked(SmallTrainer):
    def _get(self):
        with lock:
            return {"val/loss": Metric()}
    metrics = property(_get, lambda self, value: None)
def fail(trainer):
    raise Failed
go_on.set()
for name in ("ultralytics", "uploader"):
    logging.getLogger(name).addHandler(Handler())
sys.stdout = Stream(sys.stdout)
trainer.ours.teardown(trainer)
with lock:
    Locked(Path(sys.argv[1]), "good").train()
    try:
        Locked(Path(sys.argv[1]), "bad", during=fail).train()
    except Failed:
        print("failed")
"""
    ended = run(code.replace("sys.argv[1]", repr(str(tmp_path))), tmp_path)
    assert ended.stdout.count("failed\n") == 1, ended.stderr
    assert "in uploader-" not in ended.stdout
    assert "handled: Uploader: recording this training" in ended.stdout
    assert ends(journal) == {"run": "abandoned", "good": "complete", "bad": "failed"}
    assert journal.events("epoch_end")[0]["metrics"] == {"val/loss": 0.25}
    assert journal.events("training_failed") == [{"error": "in their own words", "code": "Failed"}]


def test_what_strikes_while_a_trainer_is_read_gets_through_and_nothing_of_it_is_lost(
    build: Build, journal: Any
) -> None:
    struck: list[str] = []

    class Metric:
        def tolist(self) -> float:
            if not struck:
                struck.append("once")
                signal.raise_signal(signal.SIGALRM)
            return 0.25

    trainer = build(during=lambda trainer: trainer.metrics.update({"mAP": Metric()}))
    with raising_on_alarm(), pytest.raises(Alarm):  # it would be taken for an error of the trainer's
        trainer.train()
    assert [epoch["metrics"]["mAP"] for epoch in journal.events("epoch_end")] == [0.25]
    assert journal.events("training_failed") == [{"error": "Alarm", "code": "Alarm"}]


# --- epochs that no event tells of


def end_of(journal: Any) -> list[tuple[str, str]]:
    """Return kind and key of the last events."""
    query = "SELECT kind, key FROM events WHERE kind NOT IN ('console_output', 'checkpoint') ORDER BY id DESC LIMIT 3"
    return journal.rows(query)[::-1]


def test_an_epoch_whose_event_was_lost_is_taken_in_before_the_end(build: Build, journal: Any) -> None:
    build(during=lambda trainer: write_results(trainer.save_dir, 6, 7)).train()
    assert end_of(journal) == [("epoch_end", "6"), ("epoch_end", "7"), ("training_complete", "")]


def test_the_same_before_a_failure(build: Build, journal: Any) -> None:
    def fail(trainer: SmallTrainer) -> None:
        write_results(trainer.save_dir, 6)
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - of this test
        build(during=fail).train()
    assert end_of(journal)[1:] == [("epoch_end", "6"), ("training_failed", "")]


def test_a_training_that_fails_early_takes_no_earlier_trainings_epochs(
    build: Build, journal: Any, tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    write_results(tmp_path / "run", 0, 1)
    os.utime(tmp_path / "run" / "results.csv", (0, 1_000_000_000))
    with pytest.raises(FileNotFoundError), closing_trainings():
        build(fails=True)
    assert journal.events("epoch_end") == []
    assert len(journal.events("training_failed")) == 1


@pytest.mark.parametrize(("recorded", "is_loaded"), [(2, False), (1, True)])
def test_a_checkpoint_is_loaded_only_where_the_journal_lacks_an_epoch(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, recorded: int, is_loaded: bool
) -> None:
    first = SmallTrainer(tmp_path, during=lambda trainer: write_results(trainer.save_dir, trainer.epoch))
    first.epochs = recorded
    first.train()
    (tmp_path / "run" / "results.csv").unlink()
    again = SmallTrainer(tmp_path, resume=str(first.last))
    again.start_epoch = 2
    again.train()
    said = "what the checkpoint tells of earlier epochs cannot be recorded"  # it is none that can be loaded
    assert (said in caplog.text) is is_loaded
