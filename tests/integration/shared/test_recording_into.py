"""A training into a shared journal: it writes to a journal of its machine, and a process beside it brings that in."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from support.clocks import Clock
from support.journals import ROOT, rows, until

from journal.locations import node_journal, recording_folder
from journal.opening import open_shared
from journal.reading.drain_at_work import COLLECTOR, DrainAtWork, collector_at_work, last_drain
from uploader.errors import SettingsError
from uploader.live.recording_options import choose_options
from uploader.recording import background_collector
from uploader.recording.background_collector import BackgroundCollector
from uploader.recording.farewell import farewell_into
from uploader.recording.journal_options import JournalOptions

AWAY = "postgresql://lab:secret@127.0.0.1:1/outbox"
TRAINING = """
import sys
from pathlib import Path
from uploader.live.recording_options import choose_options
from uploader.recorder import Recorder
options, save_dir = choose_options(sys.argv[1] or None, "full", (), None), Path(sys.argv[2])
recorder = Recorder.start(options, project="demo", name="t", save_dir=save_dir, resume=False)
recorder.event("training_started", {"environment": {"uploaderRun": recorder.run_id}}, "1")
print("recorded", flush=True)
sys.stdin.readline()
recorder.event("training_complete", {"results": {}}, "")
recorder.finish("complete")
print(recorder.farewell(), flush=True)
assert not {"psycopg", "obstore"} & sys.modules.keys()
"""


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("UPLOADER_INTO", "")  # so that it is as it was afterwards


@pytest.fixture
def collector_ends(url: str) -> Iterator[None]:
    yield
    for place in (url, AWAY):
        if (left := last_drain(node_journal(place), COLLECTOR)) and not left.is_gone:
            with suppress(ProcessLookupError):
                os.kill(left.pid, signal.SIGKILL)


def there(url: str) -> list[Any]:
    with open_shared(url) as opened, opened.begin(read_only=True) as connection:
        return list(connection.execute(text("SELECT kind FROM events ORDER BY id")).scalars())


def train(journal: str, tmp_path: Path, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", TRAINING, journal, str(tmp_path / "run")]
    (tmp_path / "run").mkdir()
    own = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.Popen(command, env=own, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.mark.usefixtures("collector_ends")
def test_what_is_recorded_comes_into_the_shared_journal_while_and_after_it_trains(url: str, tmp_path: Path) -> None:
    with train("", tmp_path, UPLOADER_JOURNAL=url) as training:
        assert training.stdout is not None
        assert training.stdout.readline() == "recorded\n"
        until(lambda: there(url) == ["training_started"])
        last, _ = training.communicate("\n")
    until(lambda: there(url) == ["training_started", "training_complete"])
    until(lambda: collector_at_work(node_journal(url)) is None)

    assert training.returncode == 0
    assert "this training goes into postgresql://postgres@/journal_" in last
    assert not (node_journal(url) / COLLECTOR).exists()


@pytest.mark.usefixtures("collector_ends")
def test_a_server_that_is_away_hinders_no_training_and_no_password_is_shown(url: str, tmp_path: Path) -> None:
    with train(AWAY, tmp_path) as training:
        assert training.stdout is not None
        assert training.stdout.readline() == "recorded\n"
        folder = node_journal(AWAY)
        log = folder / "collect.log"
        until(lambda: log.exists() and "it is tried again" in log.read_text())
        last, _ = training.communicate("\n")
    collector = collector_at_work(folder)

    assert training.returncode == 0
    assert rows(folder, "SELECT kind FROM events ORDER BY id") == [("training_started",), ("training_complete",)]
    assert collector is not None
    shown = Path(f"/proc/{collector.pid}/cmdline").read_text() + log.read_text() + last
    assert "secret" not in shown
    assert log.read_text().count("it is tried again") == 1


@pytest.mark.parametrize("name", ["UPLOADER_JOURNAL", "argument"])
def test_options_name_the_machines_own_journal_and_the_shared_one_without_its_password(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name != "argument":
        monkeypatch.setenv(name, AWAY)
    monkeypatch.setenv("UPLOADER_DRAIN", "1")
    options = choose_options(AWAY if name == "argument" else None, "full", (), None, drain=True)
    assert options.journal == str(node_journal(AWAY))
    assert (options.into, options.drain) == ("postgresql://lab@127.0.0.1:1/outbox", False)
    assert "secret" not in repr(options)
    assert os.environ["UPLOADER_INTO"] == AWAY


def test_a_training_that_takes_the_environments_journal_alone_does_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPLOADER_JOURNAL", AWAY)
    assert JournalOptions().shared == "postgresql://lab@127.0.0.1:1/outbox"
    assert recording_folder(None) == node_journal(AWAY)
    assert JournalOptions(journal="/elsewhere").shared is None


def test_a_url_without_a_database_is_refused_before_the_training() -> None:
    with pytest.raises(SettingsError, match="names no database"):
        choose_options("postgresql://lab@host", "full", (), None)


def test_a_collector_is_started_where_none_is_at_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[None] = []
    clock = Clock()
    kept = BackgroundCollector(tmp_path, "postgresql://lab@host/outbox", clock)
    monkeypatch.setattr(kept, "_run", lambda: started.append(None))
    DrainAtWork(is_background=True).write(tmp_path, COLLECTOR)
    kept.keep()
    assert started == []
    (tmp_path / COLLECTOR).unlink()
    kept.keep()
    assert len(started) == 1
    clock.now += 1000
    DrainAtWork(is_background=True, was_stopped=True).write(tmp_path, COLLECTOR)
    kept.keep()
    assert len(started) == 1  # a person has told it to end


def test_no_collector_is_started_without_the_library_that_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(background_collector, "is_installed", lambda: False)
    kept = BackgroundCollector(tmp_path, "postgresql://lab@host/outbox")
    for _ in range(2):
        kept.keep()
    assert not kept.log.exists()
    [said] = [record.getMessage() for record in caplog.records]
    last = farewell_into("postgresql://lab@host/outbox", (), "collect", None, has_library=False)
    for line in (said, last):
        assert "needs a library that is not installed: pip install 'offline-uploader[postgres]'" in line
