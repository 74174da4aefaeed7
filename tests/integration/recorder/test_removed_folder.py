"""The journal's folder is removed under a training: what is open is copied into a new one, and it goes on there."""

from __future__ import annotations

import json
import logging
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
import requests
from support.journals import rows
from support.platform_api import Api
from support.recordings import KEY, recordings
from support.scripted_server import Reply, ScriptedServer, received, scripted_server

from journal.clock import utc_now
from journal.doctor.repair import recover_journal
from journal.storage.folding import FOLDED_AT_BYTES
from journal.writing import run_copy
from uploader.recording.checkpoint_file import CheckpointFile
from uploader.recording.journal_connection import RETRY_SECONDS
from uploader.recording.journal_options import JournalOptions
from uploader.recording.session_writer import SessionWriter, new_run
from uploader.server.running import running

RUN_ID = "11111111-1111-1111-1111-111111111111"


@pytest.fixture
def part(folder: Path, save_dir: Path) -> Iterator[SessionWriter]:
    run = new_run(RUN_ID, project=None, name="run", save_dir=save_dir)
    session = SessionWriter(
        JournalOptions(journal=str(folder), routes=(("ultralytics", "https://chosen.example"),)), run
    )
    session.event("training_started", {"epochs": 3}, "1")
    session.event("epoch_end", {"epoch": 0}, "0")
    yield session
    session.close("complete")


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as server:
        yield server


def kinds(folder: Path) -> list[str]:
    return [kind for (kind,) in rows(folder, "SELECT kind FROM events ORDER BY id")]


def keys(folder: Path) -> list[str]:
    return [key for (key,) in rows(folder, "SELECT key FROM events ORDER BY id")]


def save(part: SessionWriter, path: Path) -> None:
    path.write_bytes(b"weights")
    file = CheckpointFile.of(path, "last", epoch=0, publish=True, is_best=False)
    assert file
    part.add_checkpoint(file)


def test_a_heartbeat_notices(part: SessionWriter, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    shutil.rmtree(folder)
    part.event("epoch_end", {"epoch": 1}, "1")  # into a file without a name
    part.maintain(FOLDED_AT_BYTES)
    part.maintain(FOLDED_AT_BYTES)
    part.event("epoch_end", {"epoch": 2}, "2")
    assert kinds(folder) == ["training_started", "epoch_end", "epoch_end", "epoch_end"]
    assert rows(folder, "SELECT count(*), count(heartbeat_at) FROM sessions") == [(1, 1)]
    assert rows(folder, "SELECT base_url FROM destinations") == [("https://chosen.example",)]
    said = [entry.getMessage() for entry in caplog.records if entry.levelno >= logging.WARNING]
    assert len(said) == 1
    assert "was removed" in said[0]


def test_events_stay_who_they_are(part: SessionWriter, folder: Path) -> None:
    """Also those of the sessions before, and what is written from then on."""
    identities = """SELECT s.uuid, s.generation, s.parent, e.seq, e.kind, e.key FROM events e
                    JOIN sessions s ON s.id = e.session_id ORDER BY e.id"""
    part.close("exited")
    resumed = SessionWriter(JournalOptions(journal=str(folder)), part.run)
    resumed.event("epoch_end", {"epoch": 1}, "1")
    before = rows(folder, identities)
    shutil.rmtree(folder)
    resumed.maintain(FOLDED_AT_BYTES)
    assert rows(folder, identities) == before
    assert len({session for session, *_ in before}) == 2
    resumed.event("epoch_end", {"epoch": 2}, "2")
    assert rows(folder, identities)[-1] == (resumed.session.uuid, 2, part.session.uuid, 2, "epoch_end", "2")
    resumed.close("complete")


def test_a_checkpoint_notices(part: SessionWriter, folder: Path, save_dir: Path) -> None:
    shutil.rmtree(folder)
    save(part, save_dir / "last.pt")
    assert kinds(folder) == ["training_started", "epoch_end", "checkpoint"]
    assert rows(folder, "SELECT bytes_are FROM checkpoints") == [("present",)]


def test_the_end_notices(part: SessionWriter, folder: Path) -> None:
    shutil.rmtree(folder)
    part.close("complete")
    assert kinds(folder) == ["training_started", "epoch_end"]
    assert rows(folder, "SELECT outcome FROM sessions") == [("complete",)]


def test_a_journal_in_its_place_is_used(part: SessionWriter, folder: Path) -> None:
    folder.rename(folder.with_name("moved away"))
    part.maintain(FOLDED_AT_BYTES)
    part.event("epoch_end", {"epoch": 1}, "1")
    assert kinds(folder) == ["training_started", "epoch_end", "epoch_end"]
    assert kinds(folder.with_name("moved away")) == ["training_started", "epoch_end"]


def test_checkpoints_that_went_with_it_are_said_to_be_lost(part: SessionWriter, folder: Path, save_dir: Path) -> None:
    save(part, save_dir / "last.pt")
    shutil.rmtree(folder)
    part.maintain(FOLDED_AT_BYTES)
    assert kinds(folder) == ["training_started", "epoch_end", "given_up"]
    (payload,) = rows(folder, "SELECT payload FROM events WHERE kind = 'given_up'")[0]
    assert json.loads(payload)["items"] == [{"what": "checkpoints", "count": 1, "bytes": 0}]


def test_a_folder_that_cannot_be_made_again_leaves_the_fallback_file(
    fallbacks: Path, part: SessionWriter, folder: Path
) -> None:
    shutil.rmtree(folder)
    folder.write_text("a file where a folder should be")
    part.maintain(FOLDED_AT_BYTES)
    part.event("epoch_end", {"epoch": 1}, "1")
    assert len(list(fallbacks.iterdir())) == 1


def in_the_way(part: SessionWriter, folder: Path) -> None:
    """Remove the journal in such a way that a heartbeat cannot make it anew."""
    shutil.rmtree(folder)
    folder.write_text("a file where a folder should be")
    part.maintain(FOLDED_AT_BYTES)


def test_what_cannot_be_taken_over_at_once_is_taken_over_later(
    fallbacks: Path, part: SessionWriter, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_the_way(part, folder)
    folder.unlink()
    monkeypatch.setattr(part._connection, "_clock", lambda: time.monotonic() + RETRY_SECONDS)
    part.event("epoch_end", {"epoch": 1}, "1")
    assert keys(folder) == ["1", "0", "1"]


def test_the_end_does_not_wait_for_its_time_to_try_again(fallbacks: Path, part: SessionWriter, folder: Path) -> None:
    in_the_way(part, folder)
    folder.unlink()
    part.close("complete")
    assert kinds(folder) == ["training_started", "epoch_end"]
    assert rows(folder, "SELECT outcome FROM sessions") == [("complete",)]


def test_what_cannot_be_taken_over_at_the_end_is_kept_and_said(
    fallbacks: Path, part: SessionWriter, folder: Path, save_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save(part, save_dir / "last.pt")
    in_the_way(part, folder)
    part.close("complete")
    assert "2 events that this training wrote" in caplog.text
    assert str(fallbacks) in caplog.text
    folder.unlink()
    take_in(folder)
    take_in(folder)
    assert sorted(kinds(folder)) == ["epoch_end", "given_up", "training_started"]
    assert rows(folder, "SELECT uuid FROM sessions") == [(part.session.uuid,)]


def test_an_older_copy_in_the_place_of_the_database_loses_nothing(
    fallbacks: Path, part: SessionWriter, folder: Path
) -> None:
    """Beside the newer one's log no journal can be made of it; what the training can still read is kept."""
    part.close("exited")
    resumed = SessionWriter(JournalOptions(journal=str(folder)), part.run)
    resumed.event("epoch_end", {"epoch": 1}, "1")
    older = folder.with_name("older.db")
    with closing(sqlite3.connect(folder / "journal.db")) as connection:
        connection.execute("VACUUM INTO ?", (str(older),))
    resumed.event("epoch_end", {"epoch": 2}, "2")
    older.replace(folder / "journal.db")
    resumed.event("epoch_end", {"epoch": 3}, "3")
    resumed.maintain(FOLDED_AT_BYTES)
    resumed.event("epoch_end", {"epoch": 4}, "4")
    resumed.close("complete")
    events = [line for file in fallbacks.iterdir() for line in file.read_text().splitlines()[1:]]
    assert sorted(json.loads(event)["key"] for event in events) == ["0", "1", "1", "2", "3", "4"]
    recovery = recover_journal(folder, utc_now())  # the log was folded into the older copy, which is damaged by it
    folder.rename(folder.with_name("damaged"))
    recovery.folder.rename(folder)  # as the doctor says
    take_in(folder)
    take_in(folder)
    assert sorted(keys(folder)) == ["0", "1", "1", "2", "3", "4"]
    assert rows(folder, "SELECT uuid FROM sessions ORDER BY id") == [(part.session.uuid,), (resumed.session.uuid,)]
    assert rows(folder, "SELECT seq FROM events WHERE session_id = 2 ORDER BY seq") == [(n,) for n in (1, 2, 3, 4)]


def test_what_can_be_written_nowhere_is_said_to_be_lost(
    part: SessionWriter, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    in_the_way(part, folder)
    monkeypatch.setattr(part._fallback, "folders", [folder])
    part.close("complete")
    assert "What this training wrote" in caplog.text
    assert "is lost unless" in caplog.text


def take_in(folder: Path) -> None:
    with recordings(folder) as journals:
        journals.journal.fallbacks.ingest()


def test_another_try_begins_where_the_last_one_stopped(
    fallbacks: Path, part: SessionWriter, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here another process locks the new journal in the middle."""
    monkeypatch.setattr(run_copy, "_COPIED_AT_ONCE", 2)
    monkeypatch.setattr("uploader.recording.journal_connection.BUSY_SECONDS", 0.05)
    for epoch in (1, 2):
        part.event("epoch_end", {"epoch": epoch}, str(epoch))
    shutil.rmtree(folder)
    with ExitStack() as stack:
        copy = run_copy.RunCopy.copy_events

        def copy_and_lock(*arguments: Any) -> None:
            copy(*arguments)
            holder = stack.enter_context(closing(sqlite3.connect(folder / "journal.db", isolation_level=None)))
            holder.execute("BEGIN IMMEDIATE")

        with monkeypatch.context() as context:
            context.setattr(run_copy.RunCopy, "copy_events", copy_and_lock)
            part.maintain(FOLDED_AT_BYTES)
        assert keys(folder) == ["1", "0"]
    part.close("complete")
    assert keys(folder) == ["1", "0", "1", "2"]


def test_a_removal_that_shows_as_a_failed_write_loses_nothing(
    folder: Path, save_dir: Path, fallbacks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a rollback journal, where the file system shares no memory."""
    monkeypatch.setattr("journal.storage.database._shares_memory", lambda _: False)
    session = SessionWriter(
        JournalOptions(journal=str(folder)), new_run(RUN_ID, project=None, name="run", save_dir=save_dir)
    )
    session.event("epoch_end", {"epoch": 0}, "0")
    shutil.rmtree(folder)
    session.event("epoch_end", {"epoch": 1}, "1")
    session.close("complete")
    assert keys(folder)[0] == "0"
    with recordings(folder) as journals:
        journals.journal.fallbacks.ingest()
    assert keys(folder) == ["0", "1"]


def test_a_journal_that_was_moved_away_and_back_is_not_doubled(
    fallbacks: Path, part: SessionWriter, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.rename(folder.with_name("moved away"))
    folder.write_text("a file where a folder should be")
    part.maintain(FOLDED_AT_BYTES)
    folder.unlink()
    folder.with_name("moved away").rename(folder)
    part.close("complete")
    assert keys(folder) == ["1", "0"]


def test_a_connection_that_was_closed_meanwhile_reads_no_other_journal(
    part: SessionWriter, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As before a fork; opened again it would find the new journal, and copy that into itself."""
    link = part._connection._opened
    assert link is not None
    shutil.rmtree(folder)
    link.writer.close()
    part.close("complete")
    assert kinds(folder) == []
    assert "What this training wrote" in caplog.text


@pytest.mark.parametrize("idempotency", [True, False])
def test_a_run_that_was_registered_stays_the_model_that_it_is(
    folder: Path, save_dir: Path, tmp_path: Path, idempotency: bool
) -> None:
    """By either API."""
    with running(tmp_path / "platform", api_key=KEY, idempotency=idempotency) as platform:
        run = new_run(RUN_ID, project="demo", name="run", save_dir=save_dir)
        routes = (("ultralytics", platform.url), ("hub", platform.url))
        session = SessionWriter(JournalOptions(journal=str(folder), routes=routes), run)
        session.event("training_started", {"trainArgs": {"model": "yolo11n.pt"}, "epochs": 3}, "1")
        drain(folder, platform.url)
        shutil.rmtree(folder)
        session.event("epoch_end", {"epoch": 0, "metrics": {"train/box_loss": 1.0}}, "0")
        session.close("complete")
        assert drain(folder, platform.url) == 0
        assert len(Api(platform.url, KEY).get("/api/models/local/demo")["models"]) == 1
        assert rows(folder, "SELECT count(*) FROM targets WHERE state = 'registered'") == [(2,)]
        hub = requests.get(f"{platform.url}/v1/models", headers={"x-api-key": KEY}, timeout=100)
        assert hub.json()["data"]["total"] == 1


@pytest.mark.parametrize("is_named", [True, False])
def test_a_platform_that_was_given_up_stays_given_up(
    folder: Path, save_dir: Path, server: ScriptedServer, is_named: bool
) -> None:
    run = new_run(RUN_ID, project="demo", name="run", save_dir=save_dir)
    session = SessionWriter(
        JournalOptions(journal=str(folder), routes=(("ultralytics", server.url if is_named else ""),)), run
    )
    session.event("training_started", {"epochs": 3}, "1")
    drain(folder, server.url)
    with recordings(folder) as journals, closing(journals.journal.outbox()) as outbox:
        [place] = [each for each in outbox.routes.destinations() if each.base_url]
        journals.journal.drop_destination(place.id, None)
    server.requests.clear()
    shutil.rmtree(folder)
    session.event("epoch_end", {"epoch": 0}, "0")
    session.close("complete")
    assert drain(folder, server.url) == 0
    assert server.requests == []


def test_a_registered_run_survives_that_it_cannot_be_announced_again(
    folder: Path, save_dir: Path, server: ScriptedServer
) -> None:
    run = new_run(RUN_ID, project="demo", name="run", save_dir=save_dir)
    session = SessionWriter(JournalOptions(journal=str(folder), routes=(("ultralytics", server.url),)), run)
    session.event("training_started", {"epochs": 3}, "1")
    drain(folder, server.url)
    shutil.rmtree(folder)
    session.event("epoch_end", {"epoch": 0}, "0")
    session.close("complete")
    server.script = lambda request: (
        Reply(422, {"error": "no"}) if request.json()["event"] == "training_started" else received(request)
    )
    assert drain(folder, server.url) == 4
    assert server.bodies()[-1]["event"] == "epoch_end"


def drain(folder: Path, url: str) -> int:
    with recordings(folder) as journals:
        return journals.drain(url, hub=url).exit_code
