"""A journal that cannot be written: training goes on, nothing is lost, and it is said once."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.clocks import Clock
from support.journals import locked, rows

import journal
from journal.migrations import NEWEST_VERSION
from journal.storage.connections import CountedConnection
from journal.writing import fallback_intake, payloads
from uploader.recording import journal_connection, session_fallback
from uploader.recording.journal_connection import RETRY_SECONDS
from uploader.recording.journal_options import JournalOptions
from uploader.recording.recorder import Recorder
from uploader.recording.session_writer import SessionWriter, new_run


def record(folder: Path, save_dir: Path, *, resume: bool = False, **options: Any) -> Recorder:
    chosen = JournalOptions(journal=str(folder), **options)
    return Recorder.start(chosen, project=None, name="run", save_dir=save_dir, resume=resume)


def make_writer(folder: Path, save_dir: Path, clock: Callable[[], float]) -> SessionWriter:
    run = new_run("11111111-1111-1111-1111-111111111111", project=None, name="run", save_dir=save_dir)
    return SessionWriter(JournalOptions(journal=str(folder)), run, clock)


def lines(fallbacks: Path) -> list[Any]:
    (path,) = fallbacks.iterdir()
    return [json.loads(line) for line in path.read_text().splitlines()]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [entry.getMessage() for entry in caplog.records if entry.levelno >= logging.WARNING]


def epochs(folder: Path) -> list[int]:
    return [epoch for (epoch,) in rows(folder, "SELECT json_extract(payload, '$.epoch') FROM events ORDER BY id")]


def in_the_way(folder: Path) -> None:
    folder.write_text("a file where a folder should be")


def newer(folder: Path) -> None:
    journal.open(folder).close()
    with closing(sqlite3.connect(folder / "journal.db")) as connection:
        connection.execute(f"PRAGMA user_version={NEWEST_VERSION + 1}")


def corrupt(folder: Path) -> None:
    folder.mkdir()
    (folder / "journal.db").write_bytes(b"no database" * 100)


@pytest.mark.parametrize("trouble", [in_the_way, newer, corrupt])
def test_a_journal_that_cannot_be_used_does_not_stop_the_training(
    folder: Path, save_dir: Path, fallbacks: Path, caplog: pytest.LogCaptureFixture, trouble: Callable[[Path], None]
) -> None:
    trouble(folder)
    recorder = record(folder, save_dir, routes=(("ultralytics", "https://chosen.example"),))
    for epoch in range(3):
        recorder.event("epoch_end", {"epoch": epoch, "loss": float("nan")}, str(epoch))
    (save_dir / "last.pt").write_bytes(b"weights")
    recorder.checkpoint(save_dir / "last.pt", role="final", epoch=2, publish=True, is_best=False)
    assert recorder.cancelled() is None
    assert recorder.session_number == 1
    recorder.finish("complete")
    header, *events = lines(fallbacks)
    assert (header["run"]["id"], header["journal"]) == (recorder.run_id, str(folder.resolve()))
    assert [event["kind"] for event in events] == ["epoch_end"] * 3 + ["model_saved"]
    assert events[1]["payload"] == {"epoch": 1, "loss": None}
    said = warnings(caplog)
    assert sum("fallback file" in warning for warning in said) == 1
    assert sum("was not snapshotted" in warning for warning in said) == 1

    folder.rename(folder.with_name("set aside"))
    with journal.open(folder) as opened:
        assert opened.fallbacks.ingest() == 4
    assert rows(folder, "SELECT base_url FROM destinations") == [("https://chosen.example",)]


def test_a_checkpoint_that_only_the_trainer_has_is_salvaged_after_the_ingestion(
    folder: Path, save_dir: Path, fallbacks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_the_way(folder)
    recorder = record(folder, save_dir)
    (save_dir / "best.pt").write_bytes(b"weights")
    recorder.checkpoint(save_dir / "best.pt", role="final", epoch=2, publish=True, is_best=True)
    recorder.finish("complete")
    folder.unlink()
    monkeypatch.setattr("journal.sessions.liveness._process_exists", lambda _: False)  # its process has ended meanwhile
    with journal.open(folder) as opened:
        opened.fallbacks.ingest()
        assert opened.salvage() == 1
    assert rows(folder, "SELECT role, epoch, bytes_are FROM checkpoints") == [("final", 2, "present")]


def test_a_journal_that_is_back_is_used_again(folder: Path, save_dir: Path, fallbacks: Path) -> None:
    clock = Clock()
    in_the_way(folder)
    part = make_writer(folder, save_dir, clock)
    part.event("epoch_end", {"epoch": 0})
    folder.unlink()
    part.event("epoch_end", {"epoch": 1})
    assert not folder.exists()
    clock.now += RETRY_SECONDS
    part.event("epoch_end", {"epoch": 2})
    part.close("complete")
    assert epochs(folder) == [0, 1, 2]
    assert list(fallbacks.iterdir()) == []
    assert rows(folder, "SELECT id, outcome FROM sessions") == [(1, "complete")]


def test_a_large_fallback_file_is_left_to_the_drain(
    folder: Path, save_dir: Path, fallbacks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_fallback, "CATCH_UP_BYTES", 100)
    clock = Clock()
    in_the_way(folder)
    part = make_writer(folder, save_dir, clock)
    part.event("epoch_end", {"epoch": 0})
    folder.unlink()
    clock.now += RETRY_SECONDS
    part.event("epoch_end", {"epoch": 1})
    part.close("complete")
    assert epochs(folder) == [1]
    with journal.open(folder) as opened:
        assert opened.fallbacks.ingest() == 1


def test_an_event_of_a_signal_handler_while_it_catches_up_is_kept(
    folder: Path, save_dir: Path, fallbacks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    in_the_way(folder)
    part = make_writer(folder, save_dir, clock)
    part.event("epoch_end", {"epoch": 0})
    folder.unlink()
    clock.now += RETRY_SECONDS
    take_in = fallback_intake._write

    def interrupted(*arguments: Any) -> int:
        part.event("training_failed", {"epoch": 7})
        return take_in(*arguments)

    monkeypatch.setattr(fallback_intake, "_write", interrupted)
    part.event("epoch_end", {"epoch": 1})
    part.close("failed")
    assert epochs(folder) == [7, 0, 1]


def test_a_fallback_file_that_is_gone_stops_nothing(folder: Path, save_dir: Path, fallbacks: Path) -> None:
    clock = Clock()
    in_the_way(folder)
    part = make_writer(folder, save_dir, clock)
    part.event("epoch_end", {"epoch": 0})
    folder.unlink()
    shutil.rmtree(fallbacks)
    clock.now += RETRY_SECONDS
    part.event("epoch_end", {"epoch": 1})
    part.close("complete")
    assert epochs(folder) == [1]


def test_a_journal_that_is_locked_again_while_it_catches_up_waits_for_the_next_time(
    folder: Path, save_dir: Path, fallbacks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_connection, "BUSY_SECONDS", 0.05)
    clock = Clock()
    part = make_writer(folder, save_dir, clock)
    with locked(folder):
        part.event("epoch_end", {"epoch": 0})
        clock.now += RETRY_SECONDS
        part.event("epoch_end", {"epoch": 1})
    clock.now += RETRY_SECONDS
    part.event("epoch_end", {"epoch": 2})
    part.close("complete")
    assert epochs(folder) == [0, 1, 2]


def test_trouble_that_lasts_is_said_once(
    folder: Path, save_dir: Path, fallbacks: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    in_the_way(folder)
    part = make_writer(folder, save_dir, clock)
    for _ in range(4):
        part.event("epoch_end", {})
        clock.now += RETRY_SECONDS
    part.close("complete")
    assert len(warnings(caplog)) == 1
    assert len(lines(fallbacks)) == 5


def test_a_busy_journal_is_left_alone_for_a_while(
    folder: Path, save_dir: Path, fallbacks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_connection, "BUSY_SECONDS", 0.05)
    clock = Clock()
    part = make_writer(folder, save_dir, clock)
    with locked(folder):
        part.event("epoch_end", {"epoch": 0})
    part.event("epoch_end", {"epoch": 1})
    header, *events = lines(fallbacks)
    assert [event["payload"]["epoch"] for event in events] == [0, 1]
    assert header["session_id"] == 1
    clock.now += RETRY_SECONDS
    part.event("epoch_end", {"epoch": 2})
    part.close("complete")
    assert epochs(folder) == [0, 1, 2]
    assert rows(folder, "SELECT id, outcome FROM sessions") == [(1, "complete")]


def test_nowhere_to_write_is_said_and_stops_nothing(
    folder: Path,
    save_dir: Path,
    fallbacks: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    in_the_way(folder)
    in_the_way(fallbacks)
    monkeypatch.setenv("XDG_DATA_HOME", str(fallbacks))
    monkeypatch.setattr("tempfile.tempdir", str(fallbacks))
    recorder = record(folder, save_dir)
    recorder.event("epoch_end", {"epoch": 0})
    recorder.finish("complete")
    assert any("could be written nowhere and is lost" in warning for warning in warnings(caplog))


def test_a_trainers_folder_that_cannot_be_written_is_known_to_the_journal(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    in_the_way(tmp_path / "file")
    first = record(folder, tmp_path / "file" / "train")
    first.finish("failed")
    assert any("a resume finds the run by its folder" in warning for warning in warnings(caplog))
    second = record(folder, tmp_path / "file" / "train", resume=True)
    second.finish("complete")
    assert second.run_id == first.run_id


def test_a_journal_that_vanishes_in_the_middle_stops_nothing(folder: Path, save_dir: Path, fallbacks: Path) -> None:
    recorder = record(folder, save_dir)
    recorder.event("epoch_end", {"epoch": 0})
    shutil.rmtree(folder)
    (save_dir / "last.pt").write_bytes(b"weights")
    recorder.checkpoint(save_dir / "last.pt", role="last", epoch=0, publish=True, is_best=False)
    recorder._writer.maintain(0)
    recorder.event("epoch_end", {"epoch": 1})
    recorder.finish("complete")


def test_a_heartbeat_folds_a_large_log(folder: Path, save_dir: Path) -> None:
    part = make_writer(folder, save_dir, Clock())
    (before,) = rows(folder, "SELECT heartbeat_at FROM sessions")[0]
    size = (folder / "journal.db").stat().st_size
    for _ in range(100):
        part.event("console_output", {"content": "x" * 2000})
    part.maintain(wal_limit_bytes=1 << 30)
    assert (folder / "journal.db").stat().st_size == size
    part.maintain(wal_limit_bytes=1000)
    assert (folder / "journal.db").stat().st_size > size + 100 * 2000
    assert rows(folder, "SELECT heartbeat_at FROM sessions")[0][0] > before
    part.close("complete")


def test_the_drain_that_is_recommended_finds_the_journal(
    tmp_path: Path, save_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UPLOADER_JOURNAL", str(tmp_path / "usual"))
    for folder, command in (("usual", "drain"), ("my own", f"drain --journal '{tmp_path / 'my own'}'")):
        recorder = record(tmp_path / folder, save_dir)
        recorder.finish("complete")
        assert recorder.drain_command == f"python -m uploader {command}"


def test_the_warning_names_the_folder_that_holds_the_events(
    folder: Path, save_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    in_the_way(folder)
    blocked, job = tmp_path / "file", tmp_path / "job"
    blocked.touch()
    monkeypatch.setattr(session_fallback, "fallback_folders", lambda: [blocked / "fallback", job / "fallback"])
    recorder = record(folder, save_dir)
    assert not warnings(caplog)  # nobody knows yet where events go
    for epoch in range(2):
        recorder.event("epoch_end", {"epoch": epoch}, str(epoch))
    recorder.finish("complete")
    (said,) = [warning for warning in warnings(caplog) if "fallback file" in warning]
    assert f"under {job / 'fallback'} (a temporary folder" in said
    assert str(blocked) not in said


def test_a_user_without_a_home_is_told_where_the_journal_is(
    save_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def nowhere(*_: object, **__: object) -> Path:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.delenv("UPLOADER_JOURNAL", raising=False)
    monkeypatch.setattr("journal.locations.user_data_path", nowhere)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    recorder = Recorder.start(JournalOptions(), project=None, name="run", save_dir=save_dir, resume=False)
    recorder.event("epoch_end", {"epoch": 0}, "0")
    recorder.finish("complete")
    (said,) = [warning for warning in warnings(caplog) if "no home" in warning]
    (database,) = tmp_path.glob("offline-uploader-*/journal/journal.db")
    assert str(database.parent) in said


def no_memory(*_: object, **__: object) -> None:
    raise MemoryError


def test_an_event_that_sqlite_has_no_memory_for_goes_to_the_fallback_file(
    folder: Path, save_dir: Path, fallbacks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = make_writer(folder, save_dir, Clock())
    monkeypatch.setattr(CountedConnection, "write", no_memory)
    part.event("epoch_end", {"epoch": 0}, "0")
    assert [line["key"] for line in lines(fallbacks)[1:]] == ["0"]
    part.close("complete")


def test_an_event_that_there_is_no_memory_for_is_said_and_recorded(
    folder: Path, save_dir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    part = make_writer(folder, save_dir, Clock())
    with monkeypatch.context() as context:
        fitted = payloads.fitted
        context.setattr(payloads, "fitted", lambda payload: no_memory() if "large" in payload else fitted(payload))
        part.event("epoch_end", {"large": 1}, "0")
    part.event("epoch_end", {}, "1")
    part.close("complete")
    assert "no memory left for an event (epoch_end 0)" in caplog.text
    assert rows(folder, "SELECT kind FROM events ORDER BY id") == [("given_up",), ("epoch_end",)]


def test_without_memory_for_any_place_the_loss_is_said(
    folder: Path, save_dir: Path, fallbacks: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    part = make_writer(folder, save_dir, Clock())
    monkeypatch.setattr(CountedConnection, "write", no_memory)
    monkeypatch.setattr("journal.writing.fallback.write_all", no_memory)
    part.event("epoch_end", {"epoch": 0}, "0")
    part.close("complete")
    assert "An event (epoch_end) could be written nowhere and is lost: there is no memory left" in caplog.text


def in_a_child(work: Callable[[], object]) -> None:
    """Do something in a forked child, which has to end within a minute."""
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(60)
        work()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def test_a_child_leaves_its_parents_fallback_file_to_it(folder: Path, save_dir: Path, fallbacks: Path) -> None:
    clock = Clock()
    in_the_way(folder)
    part = make_writer(folder, save_dir, clock)
    part.event("epoch_end", {"epoch": 0})
    folder.unlink()

    def go_on() -> None:
        clock.now += RETRY_SECONDS
        part.event("epoch_end", {"epoch": 10})

    in_a_child(go_on)
    part.event("epoch_end", {"epoch": 1})
    clock.now += RETRY_SECONDS
    part.event("epoch_end", {"epoch": 2})
    assert sorted(epochs(folder)) == [0, 1, 2, 10]


def test_a_child_waits_for_no_thread_of_its_parent(folder: Path, save_dir: Path, fallbacks: Path) -> None:
    part = make_writer(folder, save_dir, Clock())
    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        with part._lock:
            held.set()
            over.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    try:
        in_a_child(lambda: part.event("epoch_end", {"epoch": 10}))
    finally:
        over.set()
        thread.join()
    assert epochs(folder) == [10]


@pytest.mark.parametrize(
    "value", ["/dev/null", "/proc/x", "FILE", "FILE/sub", "x" * 300, "new/" + "x" * 300, "/new" * 1100]
)
@pytest.mark.parametrize("is_journal_usable", [True, False])
def test_a_fallback_folder_that_can_keep_nothing_is_told_at_the_start_and_the_usual_one_is_used(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    value: str,
    is_journal_usable: bool,
) -> None:
    (tmp_path / "file").touch()
    value = value.replace("FILE", str(tmp_path / "file"))
    monkeypatch.setenv("UPLOADER_FALLBACK", value)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    usual = tmp_path / "data" / "offline-uploader" / "fallback"
    recorder = record(tmp_path / ("journal" if is_journal_usable else "file"), tmp_path / "run")
    [told] = [words for words in warnings(caplog) if "UPLOADER_FALLBACK is" in words]
    assert (value in told, str(usual) in told) == (True, True)
    recorder.event("epoch_end", {"epoch": 0})
    recorder.finish("exited")
    assert not [entry for entry in caplog.records if entry.levelno >= logging.ERROR]
    held = [each for path in usual.glob("*.jsonl") for each in path.read_text().splitlines()]
    assert len(held) == (0 if is_journal_usable else 2)  # the first line says whose it is
    assert len([words for words in warnings(caplog) if "UPLOADER_FALLBACK is" in words]) == 1
