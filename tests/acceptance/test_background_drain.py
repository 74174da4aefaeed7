"""The drain beside a training, as real processes: it is alone, and outlives the training and whatever ran it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from support.clocks import Clock
from support.journals import ROOT, dead_pid, rows, until
from support.recordings import KEY
from support.scripted_server import Reply, Request, ScriptedServer, received, scripted_server

from journal.reading.drain_at_work import HOLDER, LOG, DrainAtWork, drain_at_work, last_drain
from uploader.recording.background_drain import AGAIN_SECONDS, BackgroundDrain

# It has a descriptor that children would inherit, and stands in a folder with another project's modules.
TRAINING = """
import os, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from uploader.recorder import Recorder
from uploader.sink import JournalOptions
os.set_inheritable(os.open(sys.argv[3], os.O_RDONLY), True)
options, save_dir = JournalOptions(sys.argv[2], "full", (), drain=True), Path(sys.argv[3]).parent
recorder = Recorder.start(options, project="demo", name="t", save_dir=save_dir, resume=False)
recorder.event("training_started", {"environment": {"uploaderRun": recorder.run_id}}, "1")
recorder.event("epoch_end", {"epoch": 0, "metrics": {"val/loss": 1.0}}, "0")
print("recorded", flush=True)
sys.stdin.readline()
recorder.event("epoch_end", {"epoch": 1, "metrics": {"val/loss": 0.5}}, "1")
print("recorded", flush=True)
sys.stdin.readline()
recorder.event("training_complete", {"results": {}}, "")
recorder.finish("complete")
print(recorder.farewell(), flush=True)
"""


class Heard:
    """What a server has been sent, to be waited for."""

    def __init__(self) -> None:
        self._events: list[tuple[str, object]] = []
        self._news = threading.Condition()

    def script(self, request: Request) -> Reply:
        if request.method == "POST" and "event" in (body := request.json()):
            with self._news:
                self._events.append((body["event"], body.get("data", {}).get("epoch")))
                self._news.notify_all()
        return received(request)

    def wait(self, event: str, epoch: int | None = None) -> None:
        with self._news:
            assert self._news.wait_for(lambda: (event, epoch) in self._events, 60), self._events


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def server(heard: Heard) -> Iterator[ScriptedServer]:
    with scripted_server(heard.script) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The journal's folder; a drain that is still there at the end is killed."""
    place = tmp_path / "journal"
    yield place
    if found := last_drain(place):
        end(found.pid)


@pytest.fixture(autouse=True)
def environment(server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = {"UPLOADER_FALLBACK": tmp_path / "fallback", "YOLO_CONFIG_DIR": tmp_path}
    for name, value in {"ULTRALYTICS_PLATFORM_URL": server.url, "ULTRALYTICS_API_KEY": KEY, **places}.items():
        monkeypatch.setenv(name, str(value))


def end(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    until(lambda: DrainAtWork(pid=pid).is_gone)


class Training:
    """A training in a process, and a process group, of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def go_on(self) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.line()

    def vanish(self) -> None:
        """Die as a notebook's kernel does."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def training(folder: Path) -> Iterator[Training]:
    place = folder.parent / "somewhere"
    place.mkdir(exist_ok=True)
    for name in ("journal", "uploader"):
        (place / f"{name}.py").write_text("raise SystemExit('another project')")
    marker = place / "marker"
    marker.touch()
    command = [sys.executable, "-c", TRAINING, ROOT, folder, marker]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=place, start_new_session=True, **pipes) as process:  # type: ignore[call-overload]
        try:
            yield Training(process)
        finally:
            process.kill()


def beside(folder: Path) -> DrainAtWork:
    until(lambda: drain_at_work(folder) is not None)
    found = drain_at_work(folder)
    assert found is not None
    return found


def drains(folder: Path) -> list[int]:
    """Return the processes that drain a journal."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"drain" in words and os.fsencode(folder) in words and not DrainAtWork(pid=int(process.name)).is_gone:
            found.append(int(process.name))
    return found


def descriptors(pid: int) -> dict[str, Path]:
    """Return what a process has open that opens and closes files all the time."""
    found = {}
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed since
            found[each.name] = each.readlink()
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells of a process what this asks for")
def test_it_outlives_the_training_and_delivers_what_it_left(folder: Path, heard: Heard) -> None:
    with training(folder) as trained:
        trained.line()
        heard.wait("epoch_end", 0)
        drain, process = beside(folder), trained.process
        assert os.getsid(drain.pid) != os.getsid(process.pid)
        held = descriptors(drain.pid)
        assert "marker" not in {file.name for file in held.values()}
        assert held["0"] == Path(os.devnull)
        status = Path(f"/proc/{drain.pid}/status").read_text()
        assert f"PPid:\t{process.pid}\n" not in status
        assert KEY.encode() not in Path(f"/proc/{drain.pid}/cmdline").read_bytes()
        trained.go_on()
        trained.vanish()
    heard.wait("epoch_end", 1)
    heard.wait("training_failed")
    until(lambda: not drains(folder))  # it ends by itself
    assert not (folder / HOLDER).exists()
    log = (folder / LOG).read_text()
    assert "demo/t: epoch 2 arrived" in log
    assert KEY not in log
    assert (folder / LOG).stat().st_mode & 0o077 == 0


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells which processes there are")
def test_a_second_training_finds_it_and_the_last_line_names_it(folder: Path, heard: Heard) -> None:
    with training(folder) as first:
        first.line()
        drain = beside(folder)
        with training(folder) as second:
            second.line()
            heard.wait("epoch_end", 0)
            assert drains(folder) == [drain.pid]
            second.go_on()
            told = second.go_on()
        assert f"process {drain.pid}; it prints to {drain.log}" in told or "everything of this training" in told
        assert drains(folder) == [drain.pid]
        shown = subprocess.run(
            [sys.executable, "-m", "uploader", "status", "--journal", str(folder)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert f"a drain beside the trainings is at work: process {drain.pid} on " in shown
        assert str(folder / LOG) in shown


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells which processes there are")
def test_two_that_are_started_at_once_become_one(folder: Path, heard: Heard) -> None:
    with training(folder) as trained:
        trained.line()
        drain = beside(folder)
        other = BackgroundDrain(folder)
        other._start()  # as if it had looked a moment ago
        until(lambda: "another drain works on" in (folder / LOG).read_text())
        until(lambda: drains(folder) == [drain.pid])
        heard.wait("epoch_end", 0)


def test_one_that_was_killed_is_started_again_and_one_that_was_told_to_end_is_not(folder: Path, heard: Heard) -> None:
    with training(folder) as trained:
        trained.line()
        first, clock = beside(folder), Clock()
        keeper = BackgroundDrain(folder, clock)
        keeper._has_started = True
        keeper.keep()
        assert beside(folder) == first
        end(first.pid)
        keeper.keep()
        second = beside(folder)
        assert second.pid != first.pid
        end(second.pid)
        keeper.keep()  # too early
        assert drain_at_work(folder) is None
        clock.now = 31.0
        keeper.keep()
        third = beside(folder)
        os.kill(third.pid, signal.SIGHUP)
        os.kill(third.pid, signal.SIGTERM)
        until(lambda: DrainAtWork(pid=third.pid).is_gone)
        clock.now = 1000.0
        waits = keeper._wait
        keeper.keep()
        assert keeper._wait == waits  # which each start doubles
        assert (folder / LOG).read_text().count("stopped before the end") == 1
        assert rows(folder, "SELECT count(*) FROM deliveries WHERE state = 'claimed'") == [(0,)]


def test_one_that_ended_by_itself_is_started_again_ever_more_rarely(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.mkdir()
    starts: list[float] = []
    clock = Clock()
    monkeypatch.setattr(BackgroundDrain, "_run", lambda _: starts.append(clock.now) or 0)
    keeper = BackgroundDrain(folder, clock)
    for clock.now in range(200):
        keeper.keep()
    assert starts == [0, 30, 90]
    DrainAtWork(pid=dead_pid(), is_background=True, was_stopped=True).write(folder)
    clock.now = 10_000.0
    keeper.keep()
    assert starts == [0, 30, 90]
    BackgroundDrain(folder, clock).keep()  # another training's
    assert starts == [0, 30, 90, 10_000.0]


def test_one_that_cannot_be_started_is_told_once_and_harms_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder.mkdir()
    monkeypatch.setattr(sys, "executable", str(folder / "no-python"))
    clock = Clock()
    keeper = BackgroundDrain(folder, clock)
    for clock.now in (0.0, 1000.0, 10_000.0):
        keeper.keep()
    assert keeper._wait == 8 * AGAIN_SECONDS  # it was tried each time
    [told] = [record.getMessage() for record in caplog.records]
    assert "No drain could be started" in told
    assert f"`python -m uploader drain --journal {folder}` delivers it" in told
