"""Trainings whose process was killed: the platform is told that nobody trains them any more."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from support.journals import IN_A_FILE, change, dead_pid, rows
from support.platform_api import Api
from support.recordings import KEY, Recordings, Training, recordings
from support.scripted_server import ScriptedServer

from journal.clock import to_text, utc_now
from journal.mirror.mirroring import Mirroring
from journal.mirror.restoring import restore
from journal.mirror.stores import FolderStore
from journal.sessions.identity import Session
from journal.sessions.origin import ELSEWHERE, UNPACKED
from journal.sessions.over import SILENT_FOR_GOOD
from journal.writing.fallback import FallbackFile
from uploader.server.running import running

ON_BOTH_ENGINES = True


def killed(journals: Recordings, **session: object) -> Training:
    """Record a training whose process is gone, and change its session's row."""
    training = journals.begin()
    training.started()
    training.epoch(0)
    alter(journals, training, **{**dead(journals), **session})
    return training


def dead(journals: Recordings) -> dict[str, object]:
    """Return what tells that a session is dead: in a shared journal, whose writers are elsewhere, only its silence."""
    silent = to_text(utc_now() - SILENT_FOR_GOOD - timedelta(minutes=1))
    return {"pid": dead_pid(), **({"heartbeat_at": silent} if journals.journal.is_shared else {})}


def alter(journals: Recordings, training: Training, **session: object) -> None:
    columns = ", ".join(f"{name} = ?" for name in session)
    statement = f"UPDATE sessions SET {columns} WHERE id = ?"
    change(journals.journal.path, statement, *session.values(), training.session_id)


def told(server: ScriptedServer) -> list[str]:
    return [body["event"] for body in server.bodies()]


def test_a_killed_training_is_no_longer_shown_as_running(journals: Recordings, tmp_path: Path) -> None:
    training = killed(journals)
    with running(tmp_path / "platform", api_key=KEY) as platform:
        api = Api(platform.url, KEY)
        assert journals.drain(platform.url).exit_code == 0
        assert api.model()["status"] == "failed"
        assert journals.journal.report()[0].state == "interrupted"
        again = journals.begin(run_id=training.run.id)
        again.started()
        journals.drain(platform.url)
        assert api.model()["status"] == "running"
        again.complete()
        again.end()
        assert journals.drain(platform.url).exit_code == 0
        assert api.model()["status"] == "completed"


def test_it_is_said_once(journals: Recordings, server: ScriptedServer) -> None:
    killed(journals)
    for _ in range(3):
        journals.drain(server.url)
    assert told(server) == ["training_started", "epoch_end", "training_failed"]


@IN_A_FILE
def test_two_copies_say_the_same(journals: Recordings, server: ScriptedServer, tmp_path: Path) -> None:
    killed(journals)
    journals.journal.fold_wal()
    shutil.copytree(journals.journal.path, tmp_path / "copy")
    query = "SELECT s.uuid, e.seq, e.payload FROM events e JOIN sessions s ON s.id = session_id ORDER BY e.id"
    with recordings(tmp_path / "copy") as copy:
        assert journals.journal.note_interrupted() == copy.journal.note_interrupted() == 1
        assert rows(journals.journal.path, query) == rows(copy.journal.path, query)


@pytest.mark.parametrize("outcome", ["abandoned", "exited"])
def test_one_that_was_left_without_an_end_is_told_too(
    journals: Recordings, server: ScriptedServer, outcome: str
) -> None:
    killed(journals).end(outcome)
    journals.drain(server.url)
    assert told(server)[-1] == "training_failed"


@pytest.mark.parametrize("place", [ELSEWHERE, UNPACKED])
@IN_A_FILE
def test_a_dead_process_tells_nothing_of_what_came_in_from_its_journal(
    journals: Recordings, tmp_path: Path, place: str
) -> None:
    """Its own journal, or what was brought since, may tell of an end."""
    store = FolderStore(tmp_path / "mirror")
    with recordings(tmp_path / "mirrored") as other:
        killed(other)
        Mirroring(other.journal, store).step()
    restore(journals.journal, store)
    change(journals.journal.path, "UPDATE facts SET value = ? WHERE name = 'place'", place)
    assert journals.journal.note_interrupted() == 0
    here = killed(journals)
    journals.writer.heartbeat(here.session_id, flushed=2)
    assert journals.journal.note_interrupted() == 1
    assert rows(journals.journal.path, "SELECT run_id FROM events WHERE kind = 'interrupted'") == [(here.run.id,)]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody tells of it")
@IN_A_FILE
def test_a_process_whose_end_nobody_asked_for_is_dead(journals: Recordings) -> None:
    """As in a container whose first process asks for nobody's end."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    killed(journals, pid=process.pid)
    assert journals.journal.note_interrupted() == 1
    process.wait()


def test_a_session_elsewhere_is_dead_after_a_day_of_silence(journals: Recordings) -> None:
    silent = to_text(utc_now() - SILENT_FOR_GOOD - timedelta(minutes=1))
    killed(journals, host="elsewhere", heartbeat_at=silent)
    assert journals.journal.note_interrupted() == 1


@pytest.mark.parametrize("ago", [SILENT_FOR_GOOD / 2, -SILENT_FOR_GOOD], ids=["half a day ago", "in a day"])
def test_one_elsewhere_that_may_live_is_left_alone(journals: Recordings, ago: timedelta) -> None:
    killed(journals, host="elsewhere", heartbeat_at=to_text(utc_now() - ago))
    assert journals.journal.note_interrupted() == 0


def test_a_process_that_is_here_lives_however_long_it_was_silent(journals: Recordings) -> None:
    """Its machine slept for days, or began with a clock of another year."""
    silent = to_text(utc_now() - 2 * SILENT_FOR_GOOD)
    killed(journals, pid=os.getpid(), started_at=silent, heartbeat_at=silent)
    assert journals.journal.note_interrupted() == 0


def test_living_resumed_and_ended_ones_are_left_alone(journals: Recordings) -> None:
    journals.begin("alive").started()
    journals.whole("whole")
    failed = journals.begin("failed")
    failed.event("training_failed", {"error": "no memory"})
    alter(journals, failed, **dead(journals))
    resumed = killed(journals)
    journals.begin(run_id=resumed.run.id)  # has not told of its start yet
    assert journals.journal.note_interrupted() == 0


def test_what_comes_late_from_the_dead_does_not_end_its_successor(journals: Recordings, server: ScriptedServer) -> None:
    first = killed(journals)
    assert journals.journal.note_interrupted() == 1
    again = journals.begin(run_id=first.run.id)
    again.started()
    [(last,)] = rows(journals.journal.path, "SELECT max(id) FROM events")
    change(journals.journal.path, "UPDATE events SET id = ? WHERE kind = 'interrupted'", last + 1)
    journals.drain(server.url)
    assert told(server) == ["training_started", "epoch_end", "training_started"]


def hidden(journals: Recordings, training: Training, folder: Path, kind: str) -> None:
    """Have a session's first event, of this kind, in a fallback file that nobody has seen yet."""
    session = replace(Session(training.run.id), generation=1)
    file = FallbackFile([folder], journals.journal.path, training.run, session=session)
    file.append(kind, {"error": "CUDA out of memory", "code": "RuntimeError"}, "1")
    file.close()
    alter(journals, training, uuid=session.uuid, **dead(journals))


@pytest.mark.parametrize(
    ("late", "then", "end"),
    [
        ("training_failed", ["training_started"], ["training_failed"]),
        ("training_started", ["training_started", "training_complete"], []),
    ],
)
def test_what_an_older_session_tells_late_is_not_the_last_word(
    journals: Recordings, server: ScriptedServer, late: str, then: list[str], end: list[str]
) -> None:
    first = journals.begin()
    hidden(journals, first, journals.journal.path.parent / "fallback", late)
    second = journals.begin(run_id=first.run.id)
    for kind in then:
        second.event(kind, {}, "2")
    alter(journals, second, **dead(journals))
    assert journals.drain(server.url).exit_code == 0
    assert told(server) == [*then, *end]
