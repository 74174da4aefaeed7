"""`uploader collect`: what nodes recorded comes into a shared journal, and what is in the way is said."""

from __future__ import annotations

import json
import logging
import signal
import sys
from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any, NoReturn

import pytest
from sqlalchemy import text
from support.clocks import Clock
from support.journals import Bench, bench, dead_pid, until
from support.machines import Run, machines

from journal.errors import LibraryMissing
from journal.folder import Journal
from journal.opening import open_shared
from journal.reading.drain_at_work import collector_at_work
from journal.shared_blobs.shared_store import NOTE
from uploader.commands.collect_sources import source_of
from uploader.commands.collecting import LOOK_SECONDS, Collector, Way
from uploader.commands.collector_note import CollectorNote
from uploader.errors import SettingsError
from uploader.recording.farewell import farewell_into

AWAY = "postgresql://lab:secret@127.0.0.1:1/outbox"


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with machines(tmp_path) as runs:
        yield runs


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Bench]:
    with bench(own_journal(tmp_path, "a")) as opened:
        opened.event("training_started")
        yield opened


def own_journal(folder: Path, machine: str) -> Path:
    """Return where a machine's journal is by default."""
    return folder / "homes" / machine / ".local/share/offline-uploader/journal"


def there(url: str, query: str = "SELECT kind FROM events ORDER BY id") -> list[Any]:
    with open_shared(url) as opened, opened.begin(read_only=True) as connection:
        return [row[0] if len(row) == 1 else tuple(row) for row in connection.execute(text(query))]


def test_each_machine_brings_its_own_journal_with_what_was_left_beside_it(
    node: Bench, run: Run, url: str, tmp_path: Path
) -> None:
    with bench(own_journal(tmp_path, "b"), pid=dead_pid()) as other:
        other.event("training_started")
    code, printed, _ = run("a", "collect", "--into", url)
    assert (code, printed.splitlines()[0]) == (0, f"{node.journal.path}: 1 run: 1 new event, 0 new checkpoints")
    code, printed, _ = run("b", "collect", "--into", url, "--json")

    [told] = json.loads(printed)["sources"]
    assert (code, told["events"], told["runs"]) == (0, 2, 1)
    assert sorted(there(url)) == ["interrupted", "training_started", "training_started"]


def test_packs_and_mirrors_come_in_by_the_same_identities(node: Bench, run: Run, url: str, tmp_path: Path) -> None:
    pack, mirror = tmp_path / "a.pack", tmp_path / "mirror"
    assert run("a", "pack", pack)[0] == 0
    assert run("a", "mirror", mirror)[0] == 0
    code, printed, _ = run("b", "collect", pack, mirror, node.journal.path, "--into", url, "--json")
    assert (code, [one["events"] for one in json.loads(printed)["sources"]]) == (0, [1, 0, 0])
    assert there(url) == ["training_started"]


def test_a_mirror_tells_that_a_session_has_ended_when_all_that_it_recorded_is_there(
    node: Bench, run: Run, url: str, tmp_path: Path
) -> None:
    node.register()  # so that the mirror has results, which name its sessions
    mirror, blobs = tmp_path / "mirror", tmp_path / "blobs"
    collect = ("b", "collect", mirror, "--into", url, "--blobs", blobs)
    assert (run("a", "mirror", mirror)[0], run(*collect)[0]) == (0, 0)
    node.checkpoint(b"weights", "final")
    node.writer.end_session(node.session_id, "complete")
    assert run("a", "mirror", mirror)[0] == 0
    taken = blobs.rename(tmp_path / "away")
    assert run(*collect)[0] == 3
    ended = "SELECT ended_at IS NOT NULL FROM sessions"
    assert there(url, ended) == [False]
    taken.rename(blobs)
    assert run(*collect)[0] == 0
    assert there(url, ended) == [True]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "--into names the shared journal"),
        (["--into", "outbox"], 2, "a shared journal is named as postgresql://"),
        (["--into", AWAY], 3, "cannot be reached"),
        (["/nowhere", "--into", "{url}"], 1, "there is no journal in /nowhere"),
        (["s3://bucket/mirror", "--into", AWAY], 3, "s3://bucket/mirror: postgresql://"),
        (["--into", "{url}", "--run", "other"], 2, "'other' fits no run"),
        (["--into", "{url}", "--max-time", "-1"], 2, "not a number of seconds"),
    ],
)
def test_what_is_in_the_way_is_said_without_the_password(
    node: Bench, run: Run, url: str, *, arguments: list[str], code: int, said: str
) -> None:
    done, printed, told = run("a", "collect", *[one.replace("{url}", url) for one in arguments])
    assert done == code
    assert said in printed + told
    assert "secret" not in printed + told


def test_checkpoints_go_where_that_is_decided_once(node: Bench, run: Run, url: str, tmp_path: Path) -> None:
    sha256, place = node.checkpoint(b"weights"), tmp_path / "shared"
    assert run("a", "collect", "--into", url, "--blobs", "shared")[0] == 2
    code, printed, told = run("a", "collect", "--into", url)
    assert (code, printed, "nobody has said where" in told) == (1, "", True)  # no retry mends that
    assert "before that, 1 run: 1 new event, 0 new checkpoints" in told
    assert "not all of it is in postgresql://" in told
    [told] = json.loads(run("a", "collect", "--into", url, "--json")[1])["sources"]
    assert (told["events"], "nobody has said where" in told["error"]) == (0, True)
    code, _, told = run("a", "collect", "--into", url, "--blobs", tmp_path / "not" / "mounted")
    assert (code, f"as {tmp_path / 'not'} is not there" in told) == (3, True)
    code, printed, told = run("a", "collect", "--into", url, "--blobs", place)
    assert (code, "1 new checkpoint" in printed, f"{place} was not there and was made" in told) == (0, True, True)
    assert (place / sha256).read_bytes() == b"weights"
    node.checkpoint(b"more")
    code, printed, _ = run("a", "collect", "--into", url)
    assert (code, "1 new checkpoint" in printed) == (0, True)
    code, _, told = run("a", "collect", "--into", url, "--blobs", tmp_path / "elsewhere")
    assert (code, f"in {place}, which is decided once" in told) == (2, True)


def test_no_checkpoints_are_kept_in_what_is_collected(node: Bench, run: Run, url: str, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(node.journal.path)
    for place in (node.journal.path / "blobs", tmp_path / "link" / "new"):
        code, _, told = run("a", "collect", "--into", url, "--blobs", place)
        assert (code, f"is in the journal {node.journal.path}" in " ".join(told.split())) == (2, True)
    assert not (node.journal.path / "blobs" / NOTE).exists()


def test_only_the_runs_that_are_named(node: Bench, run: Run, url: str) -> None:
    other = node.writer.start_run(project="demo", name="other", save_dir="/other")
    assert run("a", "collect", "--into", url, "--run", "other")[0] == 0
    assert there(url, "SELECT id FROM runs") == []  # it has no session yet
    node.writer.append(other.id, node.writer.start_session(other.id), "training_started", {})
    assert run("a", "collect", "--into", url, "--run", "other")[0] == 0
    assert there(url, "SELECT id FROM runs") == [other.id]


def test_runs_are_named_of_several_journals_together(node: Bench, run: Run, url: str, tmp_path: Path) -> None:
    with bench(tmp_path / "b") as other:
        other.event("training_started")
        named = other.run.id
    places = (node.journal.path, tmp_path / "b")
    code, _, told = run("a", "collect", *places, "--into", url, "--run", named, "--run", "nonsense")
    assert (code, "'nonsense' fits no run of these" in told) == (2, True)
    code, _, told = run("a", "collect", *places, "--into", url, "--run", named)
    assert (code, there(url, "SELECT id FROM runs")) == (0, [named]), told
    assert run("a", "pack", tmp_path / "a.pack")[0] == 0
    code, _, told = run("a", "collect", tmp_path / "a.pack", "--into", url, "--run", named)
    assert (code, "--run names runs of journals" in told) == (2, True)


class Watched:
    """A collector that watches a node, step by step: each wait does the next thing that is to happen."""

    def __init__(self, node: Bench, urls: list[str], tell: Callable[[Collection[str]], object] | None = None) -> None:
        self.clock = Clock()
        self.opened = 0
        self.waits: list[float] = []
        self.has_stopped = False
        self.happens: list[Any] = []
        self._urls = urls
        source = source_of(node.journal.path, (), waits=True)
        self.collector = Collector(
            [source], self._open, lambda: self.has_stopped, tell, clock=self.clock, wait=self._wait
        )

    def _open(self) -> Journal:
        self.opened += 1
        return open_shared(self._urls.pop(0) if len(self._urls) > 1 else self._urls[0])

    def _wait(self, seconds: float) -> None:
        self.clock.now += LOOK_SECONDS
        if self.happens:
            self.happens.pop(0)()
        else:
            self.has_stopped = True


def test_while_the_server_is_away_it_is_said_once_and_tried_again(
    node: Bench, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "uploader")
    watched = Watched(node, [AWAY, AWAY, AWAY, url])
    watched.happens = [lambda: None] * 40
    watched.collector.run(Way(watch=True))
    watched.collector.close()

    said = [record.getMessage() for record in caplog.records]
    assert watched.opened == 4
    assert [line.partition(":")[0] for line in said] == [
        "Not everything is brought in for now, and it is tried again",
        "Everything is brought in again.",
    ]
    assert "secret" not in "".join(said)
    assert there(url) == ["training_started"]


def test_the_trainings_last_line_tells_what_is_in_the_collectors_way(node: Bench, url: str) -> None:
    note = CollectorNote(node.journal.path, None)
    node.checkpoint(b"weights")
    watched = Watched(node, [url], note.tell)
    lines: list[str] = []

    def last_line() -> None:
        at_work = collector_at_work(node.journal.path)
        lines.append(farewell_into("postgresql://there", (), "collect", at_work, has_library=True))

    def say_where() -> None:
        with open_shared(url) as opened:
            assert opened.shared_blobs
            opened.shared_blobs.decide(str(node.journal.path.parent))

    watched.happens = [last_line, say_where, *[lambda: None] * 9, last_line]
    watched.collector.run(Way(watch=True))
    watched.collector.close()
    assert "tries again and again: nobody has said where" in lines[0]
    assert "The collector beside it goes on with the rest" in lines[1]
    note.end(was_stopped=False)
    assert collector_at_work(node.journal.path) is None


def test_what_no_retry_mends_is_not_tried_again(node: Bench) -> None:
    for error in (LibraryMissing("install it"), SettingsError("another place")):
        watched = Watched(node, [""])
        watched.collector._open_outbox = partial(_raise, error)
        watched.collector.run(Way(watch=True))
        assert not watched.has_stopped
        assert watched.collector.brought[0].error is error


def _raise(error: Exception) -> NoReturn:
    raise error


def test_what_is_recorded_while_it_watches_comes_in_and_at_the_end_the_rest(node: Bench, url: str) -> None:
    watched = Watched(node, [url])

    def record() -> None:
        node.event("epoch_end")

    def record_last() -> None:
        assert there(url) == ["training_started", "epoch_end"]
        node.event("training_complete")
        watched.has_stopped = True

    watched.happens = [record, lambda: None, record_last]
    watched.collector.run(Way(watch=True))
    watched.collector.close()
    assert there(url) == ["training_started", "epoch_end", "training_complete"]


def test_until_done_ends_with_the_training(node: Bench, url: str) -> None:
    watched = Watched(node, [url])

    def end() -> None:
        node.event("training_complete")
        node.writer.end_session(node.session_id, "complete")

    watched.happens = [lambda: None, end, *[lambda: None] * 9]
    watched.collector.run(Way(watch=True, until_done=True))
    watched.collector.close()
    assert not watched.has_stopped
    assert there(url) == ["training_started", "training_complete"]
    assert there(url, "SELECT outcome FROM sessions") == ["complete"]


def test_a_process_that_watches_brings_the_rest_when_it_is_told_to_end(node: Bench, url: str) -> None:
    command = [sys.executable, "-m", "uploader", "collect", str(node.journal.path), "--into", url, "--watch"]
    with Popen(command, stdout=PIPE, text=True) as process:
        until(lambda: there(url) == ["training_started"])
        node.event("training_complete")
        process.send_signal(signal.SIGTERM)
        printed, _ = process.communicate()
    assert (process.returncode, there(url)) == (0, ["training_started", "training_complete"])
    assert f"{node.journal.path}: 1 run: 2 new events" in printed
