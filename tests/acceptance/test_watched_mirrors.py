"""Mirrors that are watched by a machine which has nothing else, while a training elsewhere adds to them."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from support.journals import until
from support.recordings import KEY, Recordings, recordings
from support.scripted_server import ScriptedServer, scripted_server
from support.settings import settings
from support.watching import watching

from journal.mirror.mirroring import Mirroring
from journal.mirror.stores import FolderStore
from uploader.delivery.drain import Drain
from uploader.delivery.drain_options import DrainOptions
from uploader.delivery.followed_mirrors import LONGEST_SECONDS, LOOK_SECONDS, FollowedMirrors, next_pause

SOON = """
from uploader.__main__ import main
from uploader.delivery import completion, followed_mirrors

followed_mirrors.LOOK_SECONDS = followed_mirrors.LONGEST_SECONDS = completion.CHECK_SECONDS = 0.1
followed_mirrors.SHARE = 0
main()
"""
"""Runs a command that looks at its mirrors all the time."""


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as running:
        yield running


@pytest.fixture
def journals(tmp_path: Path) -> Iterator[Recordings]:
    with recordings(tmp_path / "gpu") as opened:
        yield opened


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    return tmp_path / "drive" / "mirror"


@pytest.fixture
def desk(tmp_path: Path, server: ScriptedServer) -> dict[str, str]:
    """The environment of a machine of its own."""
    known = {name: text for name, text in os.environ.items() if not name.startswith(("ULTRALYTICS_", "UPLOADER_"))}
    home = {"HOME": str(tmp_path / "desk"), "XDG_DATA_HOME": str(tmp_path / "desk" / "data")}
    return {**known, **home, "ULTRALYTICS_PLATFORM_URL": server.url, "ULTRALYTICS_API_KEY": KEY}


def test_a_training_is_delivered_as_it_goes_on_and_the_drain_ends_with_it(
    journals: Recordings, mirror: Path, desk: dict[str, str], server: ScriptedServer
) -> None:
    mirroring = Mirroring(journals.journal, FolderStore(mirror))
    training = journals.begin()
    training.started()
    training.epoch(0)
    mirroring.step()
    with watching(desk, str(mirror), option="--until-done", program=("-c", SOON)) as drain:
        drain.wait_for("demo/train: epoch 1 arrived")
        training.epoch(1)
        mirroring.step()
        drain.wait_for("epoch 2 arrived")
        away = mirror.rename(mirror.with_name("away"))
        drain.wait_for("its uploader-mirror.json is gone; is its drive mounted?")
        away.rename(mirror)
        journals.whole("second")  # one that has begun since
        training.checkpoint(b"weights")
        training.complete()
        mirroring.step()
        assert drain.end() == 0
    assert "can be used again" in "".join(drain.error)
    events = [each["event"] for each in server.bodies("/training/metrics")]
    assert (events.count("epoch_end"), events.count("training_complete")) == (5, 2)
    assert {path.parts[-3] for path in mirror.glob("runs/*/results/*.json")} == {
        path.name for path in mirror.glob("runs/*")
    }
    told = "".join(drain.out)
    assert ("up to date" in told, "not delivered" in told) == (True, False)


def test_a_drain_until_done_goes_on_as_long_as_its_mirrors_do(
    journals: Recordings, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Also while one cannot be used, which might have more."""
    journals.whole()
    followed = FollowedMirrors(journals.journal.path, [str(tmp_path / "gone")])
    followed.start()
    assert not followed.are_over
    followed.close()
    followed.runs.append(journals.journal.report()[0].id)
    asked = [False, False, False]
    monkeypatch.setattr(FollowedMirrors, "are_over", property(lambda _: asked.pop() if asked else True))
    with closing(journals.journal.outbox()) as outbox:
        options = DrainOptions(watch=True, until_done=True)
        chosen = settings(KEY, server.url)
        assert Drain(journals.journal, outbox, chosen, options, followed=followed).run().exit_code == 0
    assert asked == []


def test_a_run_that_was_named_and_is_not_there_yet_is_waited_for(
    journals: Recordings, mirror: Path, desk: dict[str, str], server: ScriptedServer
) -> None:
    mirroring = Mirroring(journals.journal, FolderStore(mirror))
    journals.whole("first")
    mirroring.step()
    with watching(desk, str(mirror), "--run", "second", program=("-c", SOON)) as drain:
        drain.wait_for("'second' fits no run")
        assert drain.stop() == 3
    with watching(desk, str(mirror), "--run", "second", option="--until-done", program=("-c", SOON)) as drain:
        drain.wait_for("'second' fits no run")
        journals.whole("second")
        mirroring.step()
        assert drain.end() == 0
    started = [each["name"] for each in server.bodies("/training/metrics") if each["event"] == "training_started"]
    assert started == ["second"]


def test_a_stop_while_a_mirror_is_away_does_not_say_that_all_has_arrived(
    journals: Recordings, mirror: Path, desk: dict[str, str]
) -> None:
    journals.whole()
    Mirroring(journals.journal, FolderStore(mirror)).step(is_last=True)
    with watching(desk, str(mirror), program=("-c", SOON)) as drain:
        drain.wait_for("its end arrived")
        mirror.rename(mirror.with_name("away"))
        drain.wait_for("is its drive mounted?")
        assert drain.stop() == 3
    assert "up to date" not in "".join(drain.out)


def test_a_mirror_that_was_drained_here_is_waited_for_while_its_drive_is_not_mounted(
    journals: Recordings, mirror: Path, desk: dict[str, str], server: ScriptedServer
) -> None:
    """It is no journal to be: nothing is made in the mount point."""
    training = journals.begin()
    training.started()
    mirroring = Mirroring(journals.journal, FolderStore(mirror))
    mirroring.step()
    with watching(desk, str(mirror), program=("-c", SOON)) as drain:
        drain.wait_for("its start arrived")
        assert drain.stop() == 0
    training.epoch(0)
    mirroring.step()
    away = mirror.rename(mirror.with_name("away"))
    mirror.mkdir()
    with watching(desk, str(mirror), program=("-c", SOON)) as drain:
        drain.wait_for("is the drive mounted?")
        assert list(mirror.iterdir()) == []
        mirror.rmdir()
        away.rename(mirror)
        drain.wait_for("epoch 1 arrived")
        assert drain.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_a_mirror_is_taken_in_ends_a_drain_as_at_any_other_time(
    journals: Recordings, mirror: Path, desk: dict[str, str], number: int
) -> None:
    journals.whole()
    Mirroring(journals.journal, FolderStore(mirror)).step(is_last=True)
    [blob] = mirror.glob("blobs/*")
    blob.unlink()
    os.mkfifo(blob)  # whoever reads it waits
    with watching(desk, str(mirror), option="--json") as drain, being_read(blob):
        assert drain.stop(number) == 3
    assert '"interrupted": true' in "".join(drain.out)


@contextmanager
def being_read(fifo: Path) -> Iterator[None]:
    """Wait until a process has a FIFO open for reading; it reads no end of it as long as the block lasts.

    It reads a byte now and then, as a process in which a signal arrives just before it waits for one may not notice.
    """
    opened: list[int] = []
    over = threading.Event()

    def is_opened() -> bool:
        with suppress(OSError):  # nobody reads it
            opened.append(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
        return bool(opened)

    def feed() -> None:
        while not over.wait(0.01):
            with suppress(OSError):  # nobody reads it any more
                os.write(opened[0], b"0")

    until(is_opened)
    feeding = threading.Thread(target=feed)
    feeding.start()
    try:
        yield
    finally:
        over.set()
        feeding.join()
        os.close(*opened)


@pytest.mark.parametrize(
    ("pause", "cost", "is_new", "expected"),
    [
        (LOOK_SECONDS, 0.0, True, LOOK_SECONDS),
        (LOOK_SECONDS, 0.0, False, 2 * LOOK_SECONDS),
        (LONGEST_SECONDS, 0.0, False, LONGEST_SECONDS),
        (LONGEST_SECONDS, 0.0, True, LOOK_SECONDS),
        (LOOK_SECONDS, 10.0, True, 200.0),
    ],
)
def test_how_often_a_mirror_is_looked_at(pause: float, cost: float, is_new: bool, expected: float) -> None:
    assert next_pause(pause, cost, is_new=is_new) == expected
