"""A drain that watches notices at once what is written, so that a training hears soon what the platform answers."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from support.journals import IN_A_FILE
from support.recordings import Recordings
from support.scripted_server import ScriptedServer, hearing

from journal.storage.file_changes import FileChanges
from uploader.delivery import drain

ON_BOTH_ENGINES = True


@IN_A_FILE
def test_an_event_wakes_a_drain_that_waits(
    journals: Recordings, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.script, started = hearing("training_started")
    monkeypatch.setattr(drain, "TICK_SECONDS", 3600.0)
    waits, are_any = threading.Event(), FileChanges.are_any

    def looked(changes: FileChanges) -> bool:
        if not (is_any := are_any(changes)) and started.is_set():
            waits.set()
        return is_any

    monkeypatch.setattr(FileChanges, "are_any", looked)
    training = journals.begin()
    training.started()
    with journals.draining(server.url, watch=True):
        assert started.wait(100)
        assert waits.wait(100)
        server.script, heard = hearing("epoch_end")
        training.epoch(0)
        assert heard.wait(100)


def test_a_run_that_begins_wakes_a_drain_that_waits(
    journals: Recordings, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.script, first = hearing("training_started")
    monkeypatch.setattr(drain, "TICK_SECONDS", 3600.0)
    journals.begin().started()
    with journals.draining(server.url, watch=True):
        assert first.wait(100)
        server.script, second = hearing("training_started")
        journals.begin(name="second").started()
        assert second.wait(100)


def test_what_cannot_be_looked_at_has_not_changed(tmp_path: Path) -> None:
    changes = FileChanges(tmp_path / "journal.db")
    changes.note()
    assert not changes.are_any()
    (tmp_path / "journal.db").touch()
    assert changes.are_any()
    changes.note()
    (tmp_path / "journal.db-wal").write_bytes(b"x")
    assert changes.are_any()
