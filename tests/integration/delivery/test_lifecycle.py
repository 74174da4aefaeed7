"""Beginning, watching, being stopped, and being alone."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from queue import SimpleQueue

import pytest
from support.journals import IN_A_FILE, dead_pid, rows, until
from support.recordings import KEY, Recordings, Training
from support.scripted_server import Reply, Request, ScriptedServer, free_port, hearing, received, scripted_server
from support.settings import settings
from support.threads import left_threads

from journal.errors import DiskFull, JournalBusy, JournalUnwritable
from journal.reading.drain_at_work import HOLDER
from journal.records import Claim
from journal.writing import fallback_intake
from journal.writing.fallback import FallbackFile
from journal.writing.fallback_files import FallbackFiles
from uploader.delivery import drain, sender_manager
from uploader.delivery.drain_lock import LOCK, drain_lock
from uploader.delivery.sender import Sender
from uploader.delivery.timing import Timing
from uploader.errors import DrainLocked, SettingsError
from uploader.settings import Settings

ON_BOTH_ENGINES = True


def is_put(request: Request) -> bool:
    return request.method == "PUT"


# --- watching


def test_a_watching_drain_delivers_what_is_recorded_meanwhile(journals: Recordings, server: ScriptedServer) -> None:
    first_epoch, complete = threading.Event(), threading.Event()

    def script(request: Request) -> Reply:
        event = request.json().get("event") if request.method == "POST" else None
        {"epoch_end": first_epoch, "training_complete": complete}.get(str(event), threading.Event()).set()
        return received(request)

    server.script = script
    with journals.draining(server.url, watch=True) as running:
        training = journals.begin()
        training.started()
        training.epoch(0)
        assert first_epoch.wait(100)
        training.epoch(1)
        training.complete()
        training.end()
        assert complete.wait(100)
        running.stop()
    assert [body["event"] for body in server.bodies()] == [
        "training_started",
        "epoch_end",
        "epoch_end",
        "training_complete",
    ]
    assert running.summary().exit_code == 0


def test_a_watching_drain_outlasts_an_unreachable_host(journals: Recordings) -> None:
    journals.whole()
    script, complete = hearing("training_complete")
    port = free_port()
    with journals.draining(f"http://127.0.0.1:{port}", watch=True), scripted_server(script, port=port):
        assert complete.wait(100)


class Warnings(SimpleQueue[str]):
    """What a drain's senders warn of."""

    def __call__(self, text: str, *facts: object) -> None:
        self.put(text % facts if facts else text)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Warnings:
    warnings = Warnings()
    monkeypatch.setattr(sender_manager._LOG, "warning", warnings)
    return warnings


def test_a_watching_drain_whose_key_is_refused_says_so_and_goes_on_when_it_is_let_in(
    journals: Recordings, server: ScriptedServer, told: Warnings
) -> None:
    journals.whole()
    refused, complete = Reply(401, {"error": "no such key"}), threading.Event()
    is_let_in = threading.Event()

    def script(request: Request) -> Reply:
        if not is_let_in.is_set():
            return refused
        if request.method == "POST" and request.json().get("event") == "training_complete":
            complete.set()
        return received(request)

    server.script = script
    with journals.draining(server.url, watch=True, timing=Timing(reread=0.01, reopen=0.01)) as running:
        assert "nothing is sent" in told.get(timeout=100)
        is_let_in.set()
        assert complete.wait(100)
        running.stop()
        assert running.summary().exit_code == 0
    assert "what waits is sent again" in told.get(timeout=100)
    assert told.empty()  # said once


def test_a_refused_key_is_not_tried_again_before_it_is_time(
    journals: Recordings, server: ScriptedServer, told: Warnings
) -> None:
    journals.whole()
    server.script = lambda _: Reply(401, {"error": "no such key"})
    looked = Looks(server.url)
    with journals.draining(server.url, watch=True, timing=Timing(reread=0.0, reopen=600.0), reread=looked):
        assert told.get(timeout=100)
        looked.wait_for(3)
        asked = len(server.requests)
        looked.wait_for(6)
        assert len(server.requests) - asked <= 1  # the first reopening
    assert told.empty()  # said once


class Looks:
    """Settings that never change, and how often they were read."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._count, self._changed = 0, threading.Condition()

    def __call__(self) -> Settings:
        with self._changed:
            self._count += 1
            self._changed.notify_all()
        return settings(KEY, self._url, hub_key=KEY)

    def wait_for(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self._count >= count, 60)


def test_a_watching_drain_without_a_key_waits_for_one(
    journals: Recordings, server: ScriptedServer, told: Warnings
) -> None:
    journals.whole()
    server.script, complete = hearing("training_complete")
    found = settings(KEY, server.url)
    with journals.draining("", key=None, watch=True, timing=Timing(reread=0.01), reread=lambda: found):
        assert "there is no API key" in told.get(timeout=100)
        assert complete.wait(100)


@IN_A_FILE
def test_a_watching_drain_waits_for_another_ones_end(
    journals: Recordings, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    journals.whole()
    server.script, complete = hearing("training_complete")
    waits = threading.Event()
    monkeypatch.setattr("uploader.delivery.drain_lock._LOG.warning", lambda *_: waits.set())
    monkeypatch.setattr(drain, "TICK_SECONDS", 0.01)
    with ExitStack() as other:
        other.enter_context(drain_lock(journals.journal.path))
        with journals.draining(server.url, watch=True):
            assert waits.wait(100)
            assert not server.requests
            other.close()
            assert complete.wait(100)


@IN_A_FILE
def test_a_watching_drain_can_be_stopped_while_it_waits_for_another_one(journals: Recordings) -> None:
    with drain_lock(journals.journal.path), pytest.raises(DrainLocked):
        journals.drain("http://127.0.0.1:9", watch=True, max_time=0.0)


def test_a_full_disk_ends_no_watching_drain(
    journals: Recordings, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    journals.whole()
    server.script, complete = hearing("training_complete")
    write, refusals = drain.Outcomes.write, iter([DiskFull("no space left")] * 2)

    def full_at_first(outcomes: drain.Outcomes) -> int:
        if error := next(refusals, None):
            raise error
        return write(outcomes)

    monkeypatch.setattr(drain.Outcomes, "write", full_at_first)
    monkeypatch.setattr(drain, "TICK_SECONDS", 0.01)
    with journals.draining(server.url, watch=True):
        assert complete.wait(100)


@IN_A_FILE
def test_a_disk_that_is_full_at_the_start_ends_no_watching_drain(
    journals: Recordings, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    journals.whole()
    server.script, complete = hearing("training_complete")
    refusals = iter([DiskFull("no space left"), JournalBusy("locked")])

    def full_at_first(_: object) -> None:
        if error := next(refusals, None):
            raise error

    monkeypatch.setattr(FallbackFiles, "ingest", full_at_first)
    monkeypatch.setattr(drain, "TICK_SECONDS", 0.01)
    with journals.draining(server.url, watch=True):
        assert complete.wait(100)


def test_a_watching_drain_goes_on_beside_an_address_that_no_key_is_for(
    journals: Recordings, server: ScriptedServer, told: Warnings
) -> None:
    left_behind = journals.whole("left behind")
    journals.writer.route(left_behind.run.id, "ultralytics", "http://127.0.0.1:9")
    server.script, complete = hearing("training_complete")
    with journals.draining(server.url, watch=True) as running:
        assert "http://127.0.0.1:9: nothing is sent" in told.get(timeout=100)
        journals.whole("new")
        assert complete.wait(100)
        running.stop()


@pytest.fixture
def watched(journals: Recordings, server: ScriptedServer) -> Iterator[Training]:
    """A run that a watching drain has begun to deliver; its session was that of a process which is gone."""
    server.script, started = hearing("training_started")
    training = journals.begin()
    training.started()
    with closing(sqlite3.connect(journals.journal.database)) as database, database:
        database.execute("UPDATE sessions SET pid = ?", [dead_pid()])
    with journals.draining(server.url, watch=True, timing=Timing(intake=0.01)):
        assert started.wait(100)
        yield training


def leave_an_epoch(training: Training, folder: Path) -> None:
    beside = FallbackFile([folder], training.journal.path, training.run, session_id=training.session_id)
    beside.append("epoch_end", {"epoch": 7}, "7")
    beside.close()


@IN_A_FILE
def test_a_watching_drain_takes_fallback_files_in(watched: Training, server: ScriptedServer, tmp_path: Path) -> None:
    server.script, epoch = hearing("epoch_end")
    leave_an_epoch(watched, tmp_path / "fallback")
    assert epoch.wait(100)


@IN_A_FILE
def test_a_watching_drain_takes_in_the_last_checkpoint_of_a_killed_training(
    watched: Training, server: ScriptedServer, tmp_path: Path
) -> None:
    server.script, saved = hearing("checkpoint_saved")
    file = tmp_path / "best.pt"
    file.write_bytes(b"weights")
    watched.event("model_saved", {"epoch": 0, "files": [{"role": "best", "path": str(file), "publish": True}]}, "0")
    assert saved.wait(100)


@IN_A_FILE
def test_a_watching_drain_outlasts_what_it_cannot_take_in(
    watched: Training, server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        failed.set()
        raise PermissionError(13, "Permission denied")

    failed = threading.Event()
    server.script, epoch = hearing("epoch_end")
    with monkeypatch.context() as patched:
        patched.setattr(fallback_intake, "ingest", fail)
        assert failed.wait(100)
    leave_an_epoch(watched, tmp_path / "fallback")
    assert epoch.wait(100)


# --- being stopped


def test_metrics_do_not_wait_for_a_slow_upload_that_came_first(journals: Recordings, server: ScriptedServer) -> None:
    training = journals.begin()
    training.started()
    assert journals.drain(server.url).exit_code == 0
    training.checkpoint(b"weights")
    uploading, epoch_came, go_on = threading.Event(), threading.Event(), threading.Event()

    def script(request: Request) -> Reply:
        if request.method == "PUT":
            uploading.set()
            go_on.wait(60)
        elif b"epoch_end" in request.body:
            epoch_came.set()
        return received(request)

    server.script = script
    with journals.draining(server.url, watch=True):
        assert uploading.wait(60)
        training.epoch(0)
        in_time = epoch_came.wait(60)
        go_on.set()
    assert in_time


def test_a_stopped_drain_finishes_what_is_under_way(
    journals: Recordings, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain, "GRACE_SECONDS", 60.0)
    journals.whole(epochs=50)
    stopped = threading.Event()

    def script(request: Request) -> Reply:
        if request.method == "POST" and request.json().get("event") == "epoch_end":
            stopping.set()
            assert stopped.wait(100)
        return received(request)

    def withdraw(sender: Sender) -> list[Claim]:
        taken_back = original(sender)
        stopped.set()
        return taken_back

    original, stopping = Sender.withdraw, threading.Event()
    monkeypatch.setattr(Sender, "withdraw", withdraw)
    server.script = script
    with journals.draining(server.url, parallel=2) as running:
        assert stopping.wait(100)
        running.stop()
    summary = running.summary()
    assert (summary.exit_code, summary.interrupted) == (3, True)
    arrived = sum(body.get("event") == "epoch_end" for body in server.bodies())
    assert 1 <= arrived <= 2
    query = "SELECT count(*) FROM deliveries WHERE kind = 'epoch_end' AND state = 'delivered'"
    assert rows(journals.journal.path, query) == [(arrived,)]
    assert rows(journals.journal.path, "SELECT count(*) FROM deliveries WHERE state = 'claimed'") == [(0,)]
    server.script = received
    assert journals.drain(server.url).exit_code == 0


def test_a_stopped_drain_breaks_off_what_takes_too_long(
    journals: Recordings, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain, "GRACE_SECONDS", 0.1)
    journals.whole()
    under_way, over = threading.Event(), threading.Event()

    def script(request: Request) -> Reply:
        if is_put(request):
            under_way.set()
            over.wait(100)
        return received(request)

    server.script = script
    with journals.draining(server.url) as running:
        assert under_way.wait(100)
        running.stop()
    over.set()
    assert running.summary().exit_code == 3
    query = "SELECT state, attempts FROM deliveries WHERE lane = 'upload'"
    assert rows(journals.journal.path, query) == [("pending", 1)]  # it may have arrived
    assert journals.drain(server.url).exit_code == 0


def test_the_end_of_a_drain_leaves_no_thread_behind(journals: Recordings, server: ScriptedServer) -> None:
    journals.whole()
    journals.drain(server.url)
    assert left_threads("drain-") == []


@IN_A_FILE
def test_the_end_of_a_drain_folds_the_log_back(journals: Recordings, server: ScriptedServer) -> None:
    journals.whole()
    journals.drain(server.url)
    # What is left is the page with which each log begins: it tells what the log was begun on.
    assert journals.journal.wal_bytes() <= 32 + 24 + 4096


# --- being alone


@IN_A_FILE
def test_a_second_drain_says_who_the_first_is(journals: Recordings, server: ScriptedServer) -> None:
    journals.whole()
    with drain_lock(journals.journal.path), pytest.raises(DrainLocked) as caught:
        journals.drain(server.url)
    assert f"process {os.getpid()} on {os.uname().nodename}, since 20" in str(caught.value)
    assert server.requests == []
    assert journals.drain(server.url).exit_code == 0


@IN_A_FILE
def test_the_lock_of_a_killed_drain_is_free(tmp_path: Path, journals: Recordings, server: ScriptedServer) -> None:
    code = "import sys, pathlib; from uploader.delivery.drain_lock import drain_lock\n"
    code += "with drain_lock(pathlib.Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(journals.journal.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(DrainLocked, match=f"process {holder.pid} "), drain_lock(journals.journal.path):
            pass
        holder.kill()
    with drain_lock(journals.journal.path):
        pass


@IN_A_FILE
@pytest.mark.parametrize("left", ["", "{", "[]", "{}"])
def test_who_holds_the_lock_may_be_unknown(journals: Recordings, left: str) -> None:
    folder = journals.journal.path
    with drain_lock(folder):
        (folder / HOLDER).write_text(left)
        with pytest.raises(DrainLocked, match="it has just begun"), drain_lock(folder):
            pass


@IN_A_FILE
def test_the_locks_files_are_the_users_alone(journals: Recordings) -> None:
    folder = journals.journal.path
    with drain_lock(folder):
        assert (folder / LOCK).stat().st_mode & 0o077 == 0
        assert (folder / HOLDER).stat().st_mode & 0o077 == 0
        assert json.loads((folder / HOLDER).read_text())["pid"] == os.getpid()
    assert not (folder / HOLDER).exists()


# --- what cannot be


def test_an_unknown_run_is_refused(journals: Recordings, server: ScriptedServer) -> None:
    with pytest.raises(SettingsError, match="fits no run"):
        journals.drain(server.url, runs=("nothing",))


def test_an_impossible_destination_is_refused(journals: Recordings, server: ScriptedServer) -> None:
    journals.whole()
    with pytest.raises(SettingsError, match="must look like"):
        journals.drain(server.url, to="somewhere")


def test_a_drain_may_overtake_itself(journals: Recordings, server: ScriptedServer) -> None:
    """As after a pause of the machine: the lease of what is under way has run out."""
    journals.whole()
    first, second = threading.Event(), threading.Event()

    def script(request: Request) -> Reply:
        if request.method == "POST" and b'"epoch": 0' in request.body.replace(b'":0', b'": 0'):
            (second if first.is_set() else first).set()
            assert second.wait(100)
        return received(request)

    server.script = script
    assert journals.drain(server.url, timing=Timing(lease=0.5)).exit_code == 0
    assert second.is_set()


@IN_A_FILE
def test_a_lock_of_another_user_is_named(journals: Recordings, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("filelock.FileLock.acquire", refused)  # root, as whom tests may run, is refused nothing
    with pytest.raises(JournalUnwritable, match=r"drain\.lock"), drain_lock(journals.journal.path):
        pass


@IN_A_FILE
def test_a_disk_that_does_not_take_the_holders_name_stops_no_drain(
    journals: Recordings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("journal.reading.drain_at_work.DrainAtWork.write", full)
    with drain_lock(journals.journal.path), pytest.raises(DrainLocked), drain_lock(journals.journal.path):
        pass


@IN_A_FILE
def test_a_holders_name_that_cannot_be_deleted_keeps_no_lock(
    journals: Recordings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as held:
        held.setattr(Path, "unlink", lambda *_, **__: (_ for _ in ()).throw(OSError(16, "busy")))
        with drain_lock(journals.journal.path):
            pass
    with drain_lock(journals.journal.path):
        pass


# --- addresses that no platform is at


@pytest.mark.once_on_postgres
@pytest.mark.parametrize("reply", [None, Reply(404, b"<html>"), Reply(405, b""), Reply(404, {"detail": "Not Found"})])
def test_a_mistyped_address_binds_no_run(journals: Recordings, server: ScriptedServer, reply: Reply | None) -> None:
    journals.whole()
    with scripted_server(lambda _: reply or Reply()) as elsewhere:
        typo = f"{elsewhere.url}/typo" if reply else f"http://127.0.0.1:{free_port()}"
        summary = journals.drain(server.url, to=typo, max_time=0.5)
    assert {one.url for one in summary.destinations} == {server.url, typo} or not server.requests
    assert summary.exit_code in {3, 4}
    targets = rows(journals.journal.path, "SELECT base_url FROM targets JOIN destinations d ON d.id = destination_id")
    assert (typo,) not in targets
    assert journals.drain(server.url).exit_code == 0


@pytest.mark.once_on_postgres
@pytest.mark.parametrize("reply", [Reply(401, {"error": "key"}), Reply(503), Reply(429, {}), Reply(reset=True)])
def test_an_address_that_a_platform_may_be_at_is_kept(journals: Recordings, reply: Reply) -> None:
    journals.whole()
    with scripted_server(lambda _: reply) as named, journals.draining("", to=named.url):
        until(lambda: [target.base_url for target in journals.journal.report()[0].targets] == [named.url])


def test_what_a_training_chose_stays(journals: Recordings) -> None:
    run = journals.whole().run
    chosen = f"http://127.0.0.1:{free_port()}"
    journals.writer.route(run.id, "ultralytics", chosen)
    journals.drain(chosen, to=chosen)
    assert [target.base_url for target in journals.journal.report()[0].targets] == [chosen]
