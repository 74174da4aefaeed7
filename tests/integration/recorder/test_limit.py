"""A training whose journal reaches its limit: it goes on, keeps its metrics and its result, and says what went."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.journals import backlog, rows

import journal
from journal.storage.folding import FOLDED_AT_BYTES
from uploader.recording.checkpoint_file import CheckpointFile
from uploader.recording.journal_options import JournalOptions
from uploader.recording.recorder import Recorder
from uploader.recording.session_writer import SessionWriter, new_run

LIMIT = 1_000_000
WEIGHTS = 300_000


@pytest.fixture
def part(folder: Path, save_dir: Path) -> Iterator[SessionWriter]:
    run = new_run("11111111-1111-1111-1111-111111111111", project=None, name="run", save_dir=save_dir)
    session = SessionWriter(JournalOptions(journal=str(folder), max_size=LIMIT), run)
    yield session
    session.close("complete")


def save(part: SessionWriter, path: Path, role: str, letter: str, size: int = WEIGHTS) -> None:
    path.write_bytes(letter.encode() * size)
    file = CheckpointFile.of(path, role, epoch=0, publish=True, is_best=False)
    assert file
    part.add_checkpoint(file)


def told(folder: Path) -> list[tuple[str, int]]:
    found = rows(folder, "SELECT payload FROM events WHERE kind = 'given_up' ORDER BY id")
    return [(item["what"], item["count"]) for (payload,) in found for item in json.loads(payload)["items"]]


def present(folder: Path) -> list[str]:
    return sorted(path.read_bytes()[:1].decode() for path in (folder / "blobs").iterdir())


def fill(part: SessionWriter, size: int) -> None:
    part.event("epoch_end", {"epoch": 0, "text": "x" * size}, "0")


def test_a_new_checkpoint_makes_an_older_one_give_way(part: SessionWriter, folder: Path, save_dir: Path) -> None:
    save(part, save_dir / "last.pt", "last", "l")
    fill(part, 300_000)
    save(part, save_dir / "best.pt", "best", "b")
    assert present(folder) == ["b"]
    assert told(folder) == [("checkpoints", 1)]


def test_after_a_sleep_of_the_machine_a_trainings_own_run_is_no_ended_one(part: SessionWriter, folder: Path) -> None:
    fill(part, 2 * LIMIT)
    with journal.open(folder) as opened, closing(opened.outbox()) as outbox:
        outbox.routes.add(part.run.id, outbox.routes.add_destination("ultralytics", "http://here").id)
        outbox.plans.write(outbox.routes.targets()[0], [], through=backlog(outbox, part.run.id).events[-1].id, stage=0)
        with opened._transaction() as connection:
            connection.exec_driver_sql("UPDATE sessions SET heartbeat_at = '2020-01-01T00:00:00.000000Z'")
    part.maintain(FOLDED_AT_BYTES)
    assert rows(folder, "SELECT kind FROM events") == [("epoch_end",)]


def test_a_checkpoint_without_place_is_not_taken_and_the_next_events_are(
    part: SessionWriter, folder: Path, save_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(part, 900_000)
    for letter in "ab":
        with pytest.raises(journal.JournalError, match="is at its limit of 1 MB"):
            save(part, save_dir / "last.pt", "last", letter)
    fill(part, 500_000)  # metrics are written whatever the limit says
    part.maintain(FOLDED_AT_BYTES)
    save(part, save_dir / "best.pt", "final", "f", 2 * LIMIT)
    assert present(folder) == ["f"]
    assert told(folder) == [("checkpoints not taken", 1)] * 2
    assert rows(folder, "SELECT count(*) FROM events WHERE kind = 'epoch_end'") == [(2,)]
    said = [entry.getMessage() for entry in caplog.records if entry.levelno >= logging.WARNING]
    assert len(said) == 1
    assert "UPLOADER_MAX_SIZE" in said[0]


def test_console_text_goes_when_the_recorders_thread_looks(part: SessionWriter, folder: Path) -> None:
    for number in range(300):
        part.event("console_output", {"chunkId": number, "content": "x" * 5_000, "lineCount": 1}, str(number))
    part.maintain(FOLDED_AT_BYTES)
    (left,) = rows(folder, "SELECT count(*) FROM events WHERE kind = 'console_output'")[0]
    assert 0 < left < 250
    assert told(folder) == [("console chunks", 300 - left)]
    with journal.open(folder) as opened, closing(opened.writer()) as writer:
        assert writer.size().total <= LIMIT


def test_events_do_not_wait_for_what_is_given_up(part: SessionWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking for what may go can take seconds; the writer of the events is not the one that looks."""
    fill(part, LIMIT)
    looking, written = threading.Event(), threading.Event()

    def find(*_: object) -> list[object]:
        looking.set()
        assert written.wait(60)
        return []

    monkeypatch.setattr("journal.retention.eviction.prunable.unreferenced", find)
    thread = threading.Thread(target=part.maintain, args=(FOLDED_AT_BYTES,))
    thread.start()
    assert looking.wait(60)
    part.event("epoch_end", {"epoch": 1}, "1")
    written.set()
    thread.join()


def test_a_recorder_goes_on_at_its_limit(folder: Path, save_dir: Path) -> None:
    options = JournalOptions(journal=str(folder), max_size=LIMIT)
    recorder = Recorder.start(options, project=None, name="run", save_dir=save_dir, resume=False)
    for epoch in range(6):
        recorder.event("epoch_end", {"epoch": epoch, "text": "x" * 150_000}, str(epoch))
        for role in ("last", "best"):
            (save_dir / f"{role}.pt").write_bytes(f"{role} {epoch} ".encode() * 30_000)
            recorder.checkpoint(save_dir / f"{role}.pt", role=role, epoch=epoch, publish=True, is_best=True)
            assert recorder.wait_for_snapshots()
    recorder.checkpoint(save_dir / "best.pt", role="final", epoch=5, publish=True, is_best=True)
    recorder.finish("complete")
    assert rows(folder, "SELECT count(*) FROM events WHERE kind = 'epoch_end'") == [(6,)]
    assert rows(folder, "SELECT role, bytes_are FROM checkpoints ORDER BY created_at DESC LIMIT 1") == [
        ("final", "present")
    ]
    assert {what for what, _ in told(folder)} == {"checkpoints", "checkpoints not taken"}
