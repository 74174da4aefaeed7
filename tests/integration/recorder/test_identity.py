"""Whatever becomes of the journal meanwhile, an event has one number, and a session its place among the run's."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from support.journals import locked, rows

import journal
from journal.writing.writer import Writer
from uploader.recording.journal_options import JournalOptions
from uploader.recording.recorder import Recorder

NUMBERS = "SELECT e.seq, e.key FROM events e JOIN sessions s ON s.id = e.session_id ORDER BY s.generation, e.seq"
SESSIONS = "SELECT uuid, generation, parent, purpose FROM sessions ORDER BY generation"


def record(folder: Path, save_dir: Path, *, resume: bool = False) -> Recorder:
    return Recorder.start(
        JournalOptions(journal=str(folder)), project=None, name="run", save_dir=save_dir, resume=resume
    )


def ingest(folder: Path) -> int:
    with journal.open(folder) as opened:
        return opened.fallbacks.ingest()


@pytest.mark.parametrize("arrived", [True, False])
def test_an_event_whose_commit_nobody_knows_of_is_there_once(
    folder: Path, save_dir: Path, fallbacks: Path, monkeypatch: pytest.MonkeyPatch, arrived: bool
) -> None:
    """It goes to the fallback file under the number that it may have in the journal."""
    recorder = record(folder, save_dir)
    recorder.event("epoch_end", {"epoch": 0}, "0")
    insert = Writer._insert

    def insert_and_fail(*arguments: Any) -> int:
        if arrived:
            insert(*arguments)
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as context:
        context.setattr(Writer, "_insert", insert_and_fail)
        recorder.event("epoch_end", {"epoch": 1, "loss": float("nan"), "text": "ä\ud800"}, "1")
    recorder.event("epoch_end", {"epoch": 2}, "2")
    recorder.finish("complete")
    assert ingest(folder) == 2 - arrived
    assert rows(folder, NUMBERS) == [(1, "0"), (2, "1"), (3, "2")]


def test_a_session_that_only_a_fallback_file_knows_keeps_its_place(
    folder: Path, save_dir: Path, fallbacks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It began while the journal was locked, and is taken in after the one that came next."""
    record(folder, save_dir).finish("exited")
    monkeypatch.setattr("uploader.recording.journal_connection.BUSY_SECONDS", 0.05)
    with locked(folder):
        waiting = record(folder, save_dir, resume=True)
        waiting.event("epoch_end", {}, "waiting")
    waiting.finish("exited")
    last = record(folder, save_dir, resume=True)
    last.event("epoch_end", {}, "last")
    last.finish("complete")
    assert ingest(folder) == 1
    (first, *_), *later = rows(folder, SESSIONS)
    assert later == [(waiting.session.uuid, 2, first, None), (last.session.uuid, 3, waiting.session.uuid, None)]


def test_a_run_whose_journal_is_lost_goes_on_behind_what_its_folder_knows(folder: Path, save_dir: Path) -> None:
    first = record(folder, save_dir)
    first.finish("exited")
    shutil.rmtree(folder)
    second = record(folder, save_dir, resume=True)
    second.finish("complete")
    assert second.run_id == first.run_id
    assert rows(folder, SESSIONS) == [(second.session.uuid, 2, first.session.uuid, None)]


def test_a_forked_child_writes_beside_its_parent(folder: Path, save_dir: Path, fallbacks: Path) -> None:
    """To the journal, and to a fallback file of its own."""
    recorder = record(folder, save_dir)
    recorder.event("epoch_end", {}, "parent 1")
    if (child := os.fork()) == 0:
        recorder.event("epoch_end", {}, "child 1")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    with locked(folder):
        recorder.event("epoch_end", {}, "parent 2")
        if (child := os.fork()) == 0:
            recorder.event("epoch_end", {}, "child 2")
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    recorder.finish("complete")
    headers = [json.loads(path.read_text().splitlines()[0]) for path in fallbacks.iterdir()]
    assert len({header["session"] for header in headers}) == len(headers) == 2
    assert ingest(folder) == 2
    own = (
        "SELECT e.seq, e.key FROM events e JOIN sessions s ON s.id = e.session_id WHERE s.purpose IS {} ORDER BY e.key"
    )
    assert rows(folder, own.format("NULL")) == [(1, "parent 1"), (2, "parent 2")]
    assert rows(folder, own.format("'fork'").replace("IS '", "= '")) == [(1, "child 1"), (1, "child 2")]


@pytest.mark.parametrize("is_lost", [False, True])
def test_console_text_comes_after_that_of_earlier_sessions_whatever_the_clock_says(
    folder: Path, save_dir: Path, is_lost: bool
) -> None:
    """A machine without a clock of its own begins each boot at the same time."""
    boot = int(time.time() * 1000)
    highest = 0
    for resume in (False, True, True):
        recorder = record(folder, save_dir, resume=resume)
        for number in range(3):
            chunk = {"chunkId": boot + number, "content": f"line {number}", "lineCount": 1, "progress": {}}
            recorder.event("console_output", chunk, str(boot + number))
        recorder.finish("exited")
        told = rows(folder, "SELECT key, json_extract(payload, '$.chunkId') FROM events ORDER BY id DESC LIMIT 3")[::-1]
        chunks = [chunk for _, chunk in told]
        assert [int(key) for key, _ in told] == chunks == list(range(chunks[0], chunks[0] + 3))
        assert chunks[0] > highest
        assert (chunks[0] == boot) is not resume
        highest = chunks[-1]
        if is_lost:
            shutil.rmtree(folder)
        else:
            (save_dir / "uploader_run.json").unlink()  # then the journal knows the run by its folder
