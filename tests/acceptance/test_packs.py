"""The way over an air gap and back: pack, drain elsewhere, receipts; and many journals that become one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import timedelta
from itertools import permutations
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from support import canonical
from support.journals import ROOT, rows
from support.machines import Run, machines
from support.platform_api import Api
from support.recordings import KEY, Training, recordings
from support.scripted_server import Reply, ScriptedServer, free_port, received, scripted_server

import journal
from journal.clock import to_text, utc_now
from journal.errors import JournalUnavailable
from journal.folder import Journal
from journal.mirror.stores import Listed
from journal.packs import archive, contents, unpacking
from journal.packs import receipts as receipts_file
from uploader.recording.journal_options import JournalOptions
from uploader.recording.recorder import Recorder
from uploader.server.running import running


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as running_server:
        yield running_server


@pytest.fixture
def uploader(tmp_path: Path) -> Iterator[Run]:
    with machines(tmp_path) as run:
        yield run


def not_heard_of(training: Training) -> None:
    """Have a session be one of another machine that was last heard of a while ago, so that no upload is spaced out."""
    long_ago = to_text(utc_now() - timedelta(minutes=10))
    with training.journal.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE sessions SET host = 'gpu', boot_id = 'x', started_at = ?, heartbeat_at = ?", (long_ago, long_ago)
        )


def packs_journal(tmp_path: Path, machine: str) -> Path:
    [found] = (tmp_path / "homes" / machine).rglob("packs/journal.db")
    return found.parent


def test_there_and_back(uploader: Run, server: ScriptedServer, tmp_path: Path) -> None:
    """What is recorded after the pack was made goes with the next one, to the same model."""
    home, first, second, back = (tmp_path / name for name in ("journal", "1.pack", "2.pack", "back"))
    with recordings(home) as journals:
        training = journals.begin()
        training.started()
        training.epoch(0)
        training.checkpoint(b"one", "last")
        not_heard_of(training)
        assert uploader("gpu", "pack", first, "--journal", home)[0] == 0
        training.epoch(1)
        assert uploader("desk", "drain", first, "--receipts", back, url=server.url)[0] == 0
        sent = len(server.requests)
        code, out, _ = uploader("gpu", "receipts", back, "--journal", home, "--json")
        assert (code, json.loads(out)["delivered"], json.loads(out)["refused"]) == (0, 3, [])
        [target] = journals.journal.report()[0].targets
        assert (target.delivered, target.unplanned, target.base_url) == (3, 1, server.url)
        training.checkpoint(b"two", "final")
        training.complete()
        training.end()
        assert uploader("gpu", "pack", second, "--journal", home)[0] == 0
        assert uploader("desk", "drain", second, "--receipts", back, url=server.url)[0] == 0
        assert uploader("gpu", "receipts", back, "--journal", home)[0] == 0
        events = [each["event"] for each in server.bodies("/training/metrics")]
        assert events.count("training_started") == 1
        assert sorted(events[3:]) == ["checkpoint_saved", "epoch_end", "training_complete"]
        assert {each.get("modelId") for each in server.bodies("/training/metrics")[1:]} == {"m-1"}
        sent = len(server.requests)
        assert uploader("gpu", "drain", home, url=server.url)[0] == 0
        assert uploader("gpu", "pack", tmp_path / "3.pack", "--journal", home)[0] == 3
    assert (len(server.requests), (tmp_path / "3.pack").exists()) == (sent, False)
    assert canonical.delivered(home) == canonical.delivered(packs_journal(tmp_path, "desk"))


def test_draining_a_pack_twice_sends_nothing_twice(uploader: Run, server: ScriptedServer, tmp_path: Path) -> None:
    with recordings(tmp_path / "journal") as journals:
        journals.whole()
    file = tmp_path / "runs.pack"
    uploader("gpu", "pack", file, "--journal", tmp_path / "journal")
    before = file.read_bytes()
    assert uploader("desk", "drain", file, "--json", url=server.url)[0] == 0
    sent = len(server.requests)
    code, out, _ = uploader("desk", "drain", file, "--json", url=server.url)
    assert (code, json.loads(out)["destinations"][0]["delivered"], len(server.requests)) == (0, 0, sent)
    assert file.read_bytes() == before


def test_what_was_planned_and_never_sent_goes_by_a_pack(uploader: Run, server: ScriptedServer, tmp_path: Path) -> None:
    with recordings(tmp_path / "journal") as journals:
        journals.whole()
    with scripted_server(lambda _: Reply(503, {"error": "later"}), port=free_port()) as away:
        uploader("gpu", "drain", tmp_path / "journal", "--max-time", "0.1", url=away.url)
    assert rows(tmp_path / "journal", "SELECT DISTINCT state FROM deliveries") == [("pending",)]
    uploader("gpu", "pack", tmp_path / "p", "--journal", tmp_path / "journal")
    with scripted_server(port=int(away.url.rpartition(":")[2])) as back:
        assert uploader("desk", "drain", tmp_path / "p", url=back.url)[0] == 0
        events = {each["event"] for each in back.bodies("/training/metrics")}
    assert {"training_started", "epoch_end", "checkpoint_saved", "training_complete"} <= events


def test_a_pack_without_a_key_waits(uploader: Run, server: ScriptedServer, tmp_path: Path) -> None:
    with recordings(tmp_path / "journal") as journals:
        journals.whole()
    uploader("gpu", "pack", tmp_path / "p", "--journal", tmp_path / "journal")
    assert uploader("desk", "drain", tmp_path / "p")[0] == 5
    assert uploader("desk", "drain", tmp_path / "p", url=server.url)[0] == 0


@pytest.fixture
def packed(uploader: Run, tmp_path: Path) -> Path:
    with recordings(tmp_path / "journal") as journals:
        journals.whole(content=b"weights" * 20_000)
    uploader("gpu", "pack", tmp_path / "runs.pack", "--journal", tmp_path / "journal")
    return tmp_path / "runs.pack"


def torn(pack: Path, size: float) -> None:
    content = pack.read_bytes()
    pack.write_bytes(content[: int(len(content) * size)])


def rewritten(
    pack: Path, change: Callable[[str, bytes], bytes | None], more: Mapping[str, bytes] = MappingProxyType({})
) -> None:
    """Write a pack anew, with other contents but as a whole archive."""
    with zipfile.ZipFile(pack) as old:
        held = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(pack, "w") as new:
        for name, content in [*held.items(), *more.items()]:
            if (changed := change(name, content)) is not None:
                new.writestr(name, changed)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "torn early": lambda pack: torn(pack, 0.3),
    "torn late": lambda pack: torn(pack, 0.999),
    "a byte of a checkpoint": lambda pack: pack.write_bytes(pack.read_bytes().replace(b"weightsw", b"weightsv", 1)),
    "another checkpoint": lambda pack: rewritten(pack, lambda name, held: b"x" if "blobs/" in name else held),
    "no checkpoint": lambda pack: rewritten(pack, lambda name, held: None if "blobs/" in name else held),
    "no results": lambda pack: rewritten(pack, lambda name, held: None if "/results/" in name else held),
    "other results": lambda pack: rewritten(
        pack, lambda name, held: held.replace(b"train", b"brain") if "/results/" in name else held
    ),
    "something more": lambda pack: rewritten(pack, lambda name, held: held, {"blobs/" + "0" * 64: b"x"}),
    "another segment": lambda pack: rewritten(pack, lambda name, held: held[:-1] if name.endswith(".gz") else held),
    "another note": lambda pack: rewritten(
        pack, lambda name, held: held.replace(b'"made_at"', b'"made_by"') if name == "uploader-pack.json" else held
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_pack_is_refused_whole(
    uploader: Run, server: ScriptedServer, packed: Path, tmp_path: Path, damage: str
) -> None:
    DAMAGES[damage](packed)
    code, _, error = uploader("desk", "drain", packed, url=server.url)
    assert (code, server.requests) == (1, [])
    assert f"{packed} is damaged: " in error
    code, out, _ = uploader("desk", "unpack", packed, "--into", tmp_path / "into")
    assert (code, "is damaged" in out) == (1, True)
    assert rows(tmp_path / "into", "SELECT count(*) FROM runs") == [(0,)]


def test_a_pack_is_whole_or_not_there_and_replaces_nothing_unasked(uploader: Run, packed: Path, tmp_path: Path) -> None:
    before = packed.read_bytes()
    assert uploader("gpu", "pack", packed, "--journal", tmp_path / "journal")[0] == 2
    assert packed.read_bytes() == before
    assert uploader("gpu", "pack", packed, "--force", "--journal", tmp_path / "journal")[0] == 0
    assert uploader("gpu", "pack", tmp_path / "none" / "p", "--journal", tmp_path / "journal")[0] == 1
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    assert packed.stat().st_mode & 0o077 == 0


def _fifo(place: Path) -> None:
    os.mkfifo(place)


def _link_to_device(place: Path) -> None:
    place.symlink_to("/dev/null")


@pytest.mark.parametrize("make", [_fifo, _link_to_device])
@pytest.mark.parametrize("option", ["--force", "--receipts"])
def test_what_is_no_file_is_not_replaced_by_one(
    uploader: Run, packed: Path, make: Callable[[Path], None], option: str
) -> None:
    make(place := packed.with_name("place"))
    before = place.lstat().st_ino
    code, _, error = uploader(
        "gpu", *(["pack", place, option] if option == "--force" else ["drain", packed, option, place])
    )
    assert (code, "it is not a regular file" in error) == (2, True)
    assert place.lstat().st_ino == before
    for write in (
        lambda: archive.write(contents.Contents(), place, None, lambda _: None),
        lambda: receipts_file.write([], place),
    ):
        with pytest.raises(JournalUnavailable, match="it is not a regular file"):
            write()
    assert place.lstat().st_ino == before
    assert uploader("gpu", "drain", place)[0] == 2  # and no pack either, for which nothing waits


def test_of_a_link_the_file_is_replaced(uploader: Run, packed: Path, server: ScriptedServer, tmp_path: Path) -> None:
    (link := tmp_path / "newest.pack").symlink_to(packed)
    packed.write_bytes(b"older")
    assert uploader("gpu", "pack", link, "--force", "--journal", tmp_path / "journal")[0] == 0
    (results := tmp_path / "newest.receipts").symlink_to(tmp_path / "made.receipts")
    assert uploader("desk", "drain", link, "--receipts", results, url=server.url)[0] == 0
    assert (link.readlink(), results.readlink()) == (packed, tmp_path / "made.receipts")
    assert len(receipts_file.read(tmp_path / "made.receipts")) == 1


@pytest.mark.parametrize("option", ["--watch", "--until-done"])
def test_a_pack_cannot_be_watched(uploader: Run, server: ScriptedServer, packed: Path, option: str) -> None:
    code, _, error = uploader("desk", "drain", packed, option, url=server.url)
    assert (code, server.requests) == (2, [])
    assert f"{option} is for journals and mirrors" in error
    assert f"`python -m uploader drain {packed}` delivers it" in error


def test_status_says_what_to_do_with_a_pack(uploader: Run, packed: Path, tmp_path: Path) -> None:
    for others in ([], [tmp_path / "journal"]):
        code, out, error = uploader("gpu", "status", packed, *others)
        assert (code, "it is a pack: `drain`" in out + error) == (1, True)


def test_no_secret_is_in_a_pack(uploader: Run, server: ScriptedServer, packed: Path, tmp_path: Path) -> None:
    uploader("gpu", "drain", tmp_path / "journal", url=server.url)
    uploader("gpu", "pack", packed, "--force", "--run", "train", "--journal", tmp_path / "journal")
    uploader("desk", "drain", packed, "--receipts", tmp_path / "back", url=server.url)
    with zipfile.ZipFile(packed) as archive:
        contents = [archive.read(name) for name in archive.namelist()]
    for content in [*contents, (tmp_path / "back").read_bytes()]:
        assert KEY.encode() not in content
        assert b"s3cret" not in content


def test_an_older_pack_harms_nothing_that_its_journal_delivered_later(
    uploader: Run, packed: Path, tmp_path: Path
) -> None:
    """Its journal has trained on, and found a network itself."""
    with running(tmp_path / "platform", api_key=KEY) as platform, recordings(tmp_path / "other") as journals:
        training = journals.begin("other")
        training.started()
        training.epoch(0)
        training.checkpoint(b"old", "last")
        not_heard_of(training)
        assert uploader("gpu", "pack", tmp_path / "old.pack", "--journal", tmp_path / "other")[0] == 0
        training.epoch(1)
        training.checkpoint(b"new", "last")
        assert uploader("gpu", "drain", tmp_path / "other", url=platform.url)[0] == 0
        api = Api(platform.url, KEY)
        before = api.model(name="other")
        assert uploader("desk", "drain", tmp_path / "old.pack", url=platform.url)[0] != 0
        after = api.model(name="other")
    assert (after["file"], after["trainResults"]) == (before["file"], before["trainResults"])


def test_a_training_that_goes_on_where_it_was_packed_is_not_called_interrupted(
    uploader: Run, server: ScriptedServer, tmp_path: Path
) -> None:
    with recordings(tmp_path / "journal") as journals:
        training = journals.begin()
        training.started()
        training.epoch(0)
        with journals.journal.begin() as connection:
            connection.exec_driver_sql(
                "UPDATE sessions SET host = 'gpu', boot_id = 'x', started_at = ?, heartbeat_at = ?",
                ("2020-01-01T00:00:00.000Z", "2020-01-01T00:00:00.000Z"),
            )
        with ExitStack() as stack:
            archive.write(contents.collect(stack, journals.journal), tmp_path / "p", "", lambda _: None)
    assert uploader("desk", "drain", tmp_path / "p", url=server.url)[0] == 0
    assert "training_failed" not in [each["event"] for each in server.bodies("/training/metrics")]


class Watched:
    """A source that remembers what was read of it."""

    def __init__(self, source: archive.Pack) -> None:
        self._source = source
        self.read: list[str] = []

    def get(self, name: str) -> bytes | None:
        self.read.append(name)
        return self._source.get(name)

    def get_file(self, name: str, target: Path) -> bool:
        self.read.append(name)
        return self._source.get_file(name, target)

    def list(self, prefix: str = "") -> Iterator[Listed]:
        return self._source.list(prefix)


def test_checkpoints_come_in_before_the_events_that_have_them_sent(packed: Path, tmp_path: Path) -> None:
    """A drain that runs meanwhile would take one whose bytes are not here for lost."""
    with archive.open_pack(packed) as pack, journal.open(tmp_path / "into") as into:
        watched = Watched(pack)
        assert unpacking.take_in(into, watched).checkpoints == 1
    events = [number for number, name in enumerate(watched.read) if name.endswith(".gz")]
    files = [number for number, name in enumerate(watched.read) if name.startswith("blobs/")]
    assert len(files) == 1
    assert files[-1] < events[0]


def test_what_was_interrupted_is_done_by_the_next_time(
    uploader: Run, server: ScriptedServer, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever of the transactions was the last one."""
    server.script = lambda one: Reply(422, {"error": "no"}) if one.path.endswith("/upload") else received(one)
    uploader("gpu", "drain", tmp_path / "journal", url=server.url)
    assert uploader("gpu", "pack", packed, "--force", "--run", "train", "--journal", tmp_path / "journal")[0] == 0
    begin = Journal.begin.fget
    assert begin is not None
    left = 0

    def counted(opened: Journal) -> Any:
        def transaction(*, read_only: bool = False) -> Any:
            nonlocal left
            left -= not read_only
            if left < 0:
                raise JournalUnavailable("the machine was switched off")
            return begin(opened)(read_only=read_only)

        return transaction

    with archive.open_pack(packed) as pack:
        with journal.open(tmp_path / "whole") as into:
            archive.take_in(into, pack)
        for number in range(50):
            with journal.open(tmp_path / str(number)) as into:
                left = number
                with monkeypatch.context() as patched:
                    patched.setattr(Journal, "begin", property(counted))
                    try:
                        archive.take_in(into, pack)
                    except JournalUnavailable:
                        pass
                    else:
                        break
                archive.take_in(into, pack)
            assert canonical.export(tmp_path / str(number)) == canonical.export(tmp_path / "whole")
    assert number > 3


# --- many journals that become one


def test_overlapping_sources_in_any_order_are_one_journal(
    uploader: Run, server: ScriptedServer, tmp_path: Path
) -> None:
    """A pack, a copy that was drained in part, the journal itself, and another node's journal; one of them twice."""
    home = tmp_path / "journal"
    with recordings(home) as journals:
        training = journals.begin()
        training.started()
        for number in range(3):
            training.console(number)
        training.epoch(0)
        uploader("gpu", "pack", tmp_path / "early.pack", "--journal", home)
        shutil.copytree(home, tmp_path / "copy")
        uploader("gpu", "drain", tmp_path / "copy", url=server.url)
        training.console(3)
        training.checkpoint(b"weights")
        training.complete()
        training.end()
    with recordings(tmp_path / "node") as journals:
        journals.whole("other")
    sources = [tmp_path / "early.pack", tmp_path / "copy", home, tmp_path / "node"]
    exports = []
    for number, order in enumerate(permutations(sources)):
        into = tmp_path / f"into{number}"
        if number % 11 == 0:  # few of them, as each takes a process
            assert uploader("desk", "unpack", *order, order[0], "--into", into)[0] == 0
            exports.append(canonical.export(into))
    assert len(set(exports)) == 1
    sent = len(server.requests)
    assert uploader("desk", "drain", tmp_path / "into0", url=server.url)[0] == 0
    again = [each.json() for each in server.requests[sent:] if each.path.endswith("/training/metrics")]
    lines = [
        line for each in again if each["event"] == "console_output" for line in each["data"]["content"].split("\n")
    ]
    mine = [line for line in lines if line]
    assert sorted(mine) == ["line 0", "line 1", "line 2", "line 3"]
    events = sorted(each["event"] for each in again if each["event"] != "console_output")
    assert events == sorted(
        [
            *("training_started", "checkpoint_saved", "training_complete", "epoch_end", "epoch_end", "epoch_end"),
            *("checkpoint_saved", "training_complete"),
        ]
    )


def test_a_pack_of_a_running_training_is_one_moment(uploader: Run, tmp_path: Path) -> None:
    """A process writes events as fast as it can while packs are made; each has every event up to its last one."""
    code = (
        "import sys; sys.path.insert(0, 'tests'); from pathlib import Path; from support.recordings import recordings\n"
        "with recordings(Path(sys.argv[1])) as journals:\n"
        "    training = journals.begin(); training.started(); training.epoch(0); print('go', flush=True)\n"
        "    for number in range(1, 10**9): training.epoch(number)\n"
    )
    home = tmp_path / "journal"
    process = subprocess.Popen([sys.executable, "-c", code, str(home)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "go\n"
    try:
        for number in range(2):
            assert uploader("gpu", "pack", tmp_path / f"{number}.pack", "--journal", home)[0] == 0
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    for number in range(2):
        assert uploader("desk", "unpack", tmp_path / f"{number}.pack", "--into", tmp_path / str(number))[0] == 0
        [(count, last)] = rows(tmp_path / str(number), "SELECT count(*), max(seq) FROM events")
        assert count == last > number


# --- receipts that do not fit


@pytest.fixture
def receipts(uploader: Run, server: ScriptedServer, packed: Path, tmp_path: Path) -> Path:
    assert uploader("desk", "drain", packed, "--receipts", tmp_path / "back", url=server.url)[0] == 0
    return tmp_path / "back"


def states(folder: Path) -> set[str]:
    return {state for (state,) in rows(folder, "SELECT state FROM deliveries")}


def test_receipts_of_other_runs_are_passed_over(uploader: Run, receipts: Path, tmp_path: Path) -> None:
    with recordings(tmp_path / "stranger") as journals:
        journals.whole("stranger")
    code, out, _ = uploader("gpu", "receipts", receipts, "--journal", tmp_path / "stranger", "--json")
    assert (code, json.loads(out)["others"], states(tmp_path / "stranger")) == (0, 1, set())


def test_receipts_of_another_address_do_not_count(
    uploader: Run, server: ScriptedServer, receipts: Path, tmp_path: Path
) -> None:
    with scripted_server(lambda _: Reply(503, {"error": "later"})) as own:
        uploader("gpu", "drain", tmp_path / "journal", "--max-time", "0.1", url=own.url)
        code, out, _ = uploader("gpu", "receipts", receipts, "--journal", tmp_path / "journal")
    assert (code, f"does not go to {server.url}" in out) == (4, True)
    assert "delivered" not in states(tmp_path / "journal")
    assert rows(tmp_path / "journal", "SELECT count(*) FROM targets") == [(1,)]


def test_receipts_of_altered_or_missing_events_do_not_count(uploader: Run, receipts: Path, tmp_path: Path) -> None:
    with recordings(tmp_path / "journal") as journals, journals.journal.begin() as connection:
        connection.exec_driver_sql("UPDATE events SET payload = '{}' WHERE kind = 'epoch_end' AND key = '1'")
        connection.exec_driver_sql("DELETE FROM events WHERE kind = 'epoch_end' AND key = '2'")
    code, out, _ = uploader("gpu", "receipts", receipts, "--journal", tmp_path / "journal")
    assert (code, out.count("does not count"), out.count("epoch_end")) == (4, 2, 2)
    with recordings(tmp_path / "journal") as journals:
        [target] = journals.journal.report()[0].targets
    assert (target.delivered, target.unplanned > 0) == (7, True)


@pytest.mark.parametrize("change", ["torn", "altered", "none", "later"])
def test_damaged_receipts_are_refused(uploader: Run, receipts: Path, tmp_path: Path, change: str) -> None:
    content = receipts.read_bytes()
    changed: dict[str, Any] = {
        "torn": content[:-100],
        "altered": content.replace(b"m-1", b"m-2"),
        "none": b"",
        "later": content.replace(b'"format": 1', b'"format": 9', 1),
    }
    receipts.write_bytes(changed[change])
    code, _, error = uploader("gpu", "receipts", receipts, "--journal", tmp_path / "journal")
    assert (code, str(receipts) in error, states(tmp_path / "journal")) == (1, True, set())


def test_receipts_replace_receipts_only(uploader: Run, packed: Path, server: ScriptedServer, tmp_path: Path) -> None:
    (tmp_path / "results.csv").write_text("epoch\n1\n")
    assert uploader("desk", "drain", packed, "--receipts", tmp_path / "results.csv", url=server.url)[0] == 2
    assert (server.requests, (tmp_path / "results.csv").read_text()) == ([], "epoch\n1\n")


def test_a_checkpoint_that_is_evicted_while_it_is_packed_is_whole(tmp_path: Path) -> None:
    with recordings(tmp_path / "journal") as journals, ExitStack() as stack:
        sha256 = journals.whole().checkpoint(b"weights" * 1000)
        collected = contents.collect(stack, journals.journal)
        journals.journal.blobs.remove(sha256)
        journals.journal.blobs.clear()
        archive.write(collected, tmp_path / "p", "", lambda _: None)
    with archive.open_pack(tmp_path / "p") as pack:
        assert pack.get_file(f"blobs/{sha256}", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"weights" * 1000


def test_only_the_chosen_run_is_packed_and_even_if_it_has_arrived(
    uploader: Run, server: ScriptedServer, tmp_path: Path
) -> None:
    with recordings(tmp_path / "journal") as journals:
        journals.whole("one")
        journals.whole("two")
    assert uploader("gpu", "drain", tmp_path / "journal", url=server.url)[0] == 0
    file = tmp_path / "two.pack"
    code, out, _ = uploader("gpu", "pack", file, "--run", "two", "--journal", tmp_path / "journal", "--json")
    told = json.loads(out)
    assert (code, told["runs"], told["checkpoints"]) == (0, 1, 0)
    sent = len(server.requests)
    assert uploader("desk", "drain", file, url=server.url)[0] == 0
    assert len(server.requests) == sent


def test_bytes_that_have_arrived_for_one_run_are_packed_for_another(
    uploader: Run, server: ScriptedServer, tmp_path: Path
) -> None:
    with recordings(tmp_path / "journal") as journals:
        journals.whole("one", content=b"same")
        uploader("gpu", "drain", tmp_path / "journal", url=server.url)
        journals.whole("two", content=b"same")
    code, out, _ = uploader(
        "gpu", "pack", tmp_path / "p", "--run", "one", "--run", "two", "--journal", tmp_path / "journal", "--json"
    )
    assert (code, json.loads(out)["checkpoints"]) == (0, 1)
    assert uploader("desk", "drain", tmp_path / "p", url=server.url)[0] == 0


@pytest.mark.parametrize("is_planned", [False, True])
def test_bytes_that_have_arrived_as_one_checkpoint_are_packed_for_another(
    uploader: Run, server: ScriptedServer, tmp_path: Path, is_planned: bool
) -> None:
    with recordings(tmp_path / "journal") as journals:
        training = journals.begin()
        training.started()
        training.checkpoint(b"same", "best")
        training.end()
        uploader("gpu", "drain", tmp_path / "journal", url=server.url)
        training.checkpoint(b"same", "final")
        if is_planned:
            server.script = lambda one: Reply(422, {"error": "no"}) if one.path.endswith("/upload") else received(one)
            uploader("gpu", "drain", tmp_path / "journal", url=server.url)
            server.script = received
            with journals.journal.begin() as connection:
                connection.exec_driver_sql("UPDATE deliveries SET state = 'pending' WHERE state = 'dead'")
        assert uploader("gpu", "pack", tmp_path / "p", "--journal", tmp_path / "journal")[0] == 0
    sent = len(server.bodies("/models/upload"))
    assert uploader("desk", "drain", tmp_path / "p", url=server.url)[0] == 0
    assert len(server.bodies("/models/upload")) == sent + 1


def test_packs_and_journals_are_drained_together(uploader: Run, server: ScriptedServer, tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        with recordings(tmp_path / name) as journals:
            journals.whole(name)
    for name in ("one", "two"):
        uploader("gpu", "pack", tmp_path / f"{name}.pack", "--journal", tmp_path / name)
    torn(tmp_path / "two.pack", 0.5)
    sources = [tmp_path / "one.pack", tmp_path / "two.pack", tmp_path / "three"]
    code, out, _ = uploader("desk", "drain", *sources, "--json", url=server.url)
    told = json.loads(out)
    assert (code, [one["journal"] for one in told["errors"]]) == (1, [str(tmp_path / "two.pack")])
    names = {each["name"] for each in server.bodies("/training/metrics") if each["event"] == "training_started"}
    assert names == {"one", "three"}


@pytest.fixture
def waiting(uploader: Run, packed: Path) -> None:
    """Have the desk's journal of packs hold a run that has not been delivered."""
    assert uploader("desk", "drain", packed)[0] == 5


@pytest.mark.usefixtures("waiting")
@pytest.mark.parametrize("beside", [False, True])
def test_only_the_runs_of_what_was_named_are_delivered(
    uploader: Run, server: ScriptedServer, tmp_path: Path, beside: bool
) -> None:
    for name in ("named", "beside"):
        with recordings(tmp_path / name) as journals:
            journals.whole(name)
    uploader("gpu", "pack", tmp_path / "named.pack", "--journal", tmp_path / "named")
    sources = [tmp_path / "named.pack", *([tmp_path / "beside"] if beside else [])]
    receipts = tmp_path / "receipts"
    assert uploader("desk", "drain", *sources, "--receipts", receipts, url=server.url)[0] == 0
    names = {each["name"] for each in server.bodies("/training/metrics") if each["event"] == "training_started"}
    assert names == {"named", "beside"} if beside else {"named"}
    assert len(json.loads(receipts.read_bytes().splitlines()[1])) == len(sources)


@pytest.mark.usefixtures("waiting")
def test_a_run_of_another_pack_is_not_delivered_by_its_name(
    uploader: Run, server: ScriptedServer, tmp_path: Path
) -> None:
    with recordings(tmp_path / "other") as journals:
        journals.whole("other")
    uploader("gpu", "pack", tmp_path / "other.pack", "--journal", tmp_path / "other")
    code, _, error = uploader("desk", "drain", tmp_path / "other.pack", "--run", "train", url=server.url)
    assert (code, "'train' fits no run" in error, server.requests) == (2, True, [])


@pytest.mark.usefixtures("waiting")
@pytest.mark.parametrize("command", [("drain",), ("unpack", "--into", "new")])
def test_an_address_without_a_mirror_is_refused_and_nothing_else_delivered(
    uploader: Run, server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, error = uploader("desk", *command, "file://typo", url=server.url)
    assert (code, f"there is no mirror in {tmp_path / 'typo'}" in out + error, server.requests) == (1, True, [])


@pytest.mark.usefixtures("waiting")
def test_a_mirror_without_runs_has_nothing_delivered(uploader: Run, server: ScriptedServer, tmp_path: Path) -> None:
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "uploader-mirror.json").write_text("{}")
    code, out, _ = uploader("desk", "drain", tmp_path / "mirror", url=server.url)
    assert (code, "no runs to deliver" in out, server.requests) == (0, True, [])


@pytest.mark.parametrize("is_known", [False, True])
def test_a_copy_a_pack_and_the_journal_itself_are_one_model(uploader: Run, tmp_path: Path, *, is_known: bool) -> None:
    """Also where the last of them was drained before, and the others know nothing of that."""
    home, copy, pack = (tmp_path / name for name in ("journal", "copy", "run.pack"))
    with recordings(home) as journals:
        not_heard_of(journals.whole())
    shutil.copytree(home, copy)
    uploader("gpu", "pack", pack, "--journal", home)
    with running(tmp_path / "platform", api_key=KEY, idempotency=False) as platform:
        if is_known:
            assert uploader("desk", "drain", home, url=platform.url)[0] == 0
        code, out, _ = uploader("desk", "drain", copy, pack, home, url=platform.url)
        api = Api(platform.url, KEY)
        assert (code, len(api.get("/api/models/local/demo")["models"])) == (0, 1), out
        assert [each["epoch"] for each in api.model()["trainResults"]] == [0, 1, 2]


def test_of_a_journal_and_its_copy_only_one_is_watched(uploader: Run, server: ScriptedServer, tmp_path: Path) -> None:
    home, copy = tmp_path / "journal", tmp_path / "copy"
    with recordings(home) as journals:
        journals.whole()
    shutil.copytree(home, copy)
    sources = (home, copy, "--until-done", "--json")
    code, out, _ = uploader("desk", "drain", *sources, url=server.url)
    [error] = json.loads(out)["errors"]
    assert (code, error["journal"]) == (2, str(copy))
    assert f"{copy} holds a run that {home} holds as well" in error["error"]
    code, out, _ = uploader("desk", "drain", *sources, url=server.url)
    assert (code, json.loads(out)["errors"]) == (0, [])
    starts = [one for one in server.bodies("/training/metrics") if one["event"] == "training_started"]
    assert len(starts) == 1


@pytest.mark.parametrize("idempotency", [True, False])
def test_the_platform_shows_what_it_would_after_a_drain_at_home(
    uploader: Run, tmp_path: Path, idempotency: bool
) -> None:
    """In three packs, each drained twice; one with a platform that does not honour idempotency keys."""
    home, models = tmp_path / "journal", []
    with running(tmp_path / "there", api_key=KEY, idempotency=idempotency) as there, recordings(home) as journals:
        training = journals.begin()
        training.started(epochs=6)
        for number in range(6):
            training.console(number)
            training.epoch(number)
            if number % 2:
                training.checkpoint(b"%d" % number, "best")
                if number == 5:
                    training.complete()
                    training.end()
                not_heard_of(training)
                uploader("gpu", "pack", tmp_path / f"{number}", "--journal", home)
                for _ in range(2):
                    code, *_ = uploader(
                        "desk", "drain", tmp_path / f"{number}", "--receipts", tmp_path / "r", url=there.url
                    )
                    assert code == 0
                if number == 3:
                    uploader("gpu", "receipts", tmp_path / "r", "--journal", home)
        models.append(Api(there.url, KEY).model())
    shutil.copytree(home, tmp_path / "other")
    with recordings(tmp_path / "other") as copy, copy.journal.begin() as connection:
        for table in ("signals", "attempts", "deliveries", "targets", "destinations"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
    with running(tmp_path / "here", api_key=KEY, idempotency=idempotency) as here:
        assert uploader("gpu", "drain", tmp_path / "other", url=here.url)[0] == 0
        models.append(Api(here.url, KEY).model())
    shown = [
        {
            "status": model["status"],
            "file": model["file"]["sha256"],
            "results": [(each["epoch"], each["metrics"]) for each in model["trainResults"]],
            "console": "\n".join(each["content"] for each in model["consoleChunks"]),
        }
        for model in models
    ]
    assert shown[0] == shown[1]


@pytest.mark.parametrize("copy", ["pack", "mirror", "journal"])
def test_a_training_whose_copy_was_drained_goes_on_as_the_same_model(uploader: Run, tmp_path: Path, copy: str) -> None:
    """Its journal does not know the model, and the drain has left it in the run's folder."""
    with running(tmp_path / "platform", api_key=KEY) as there:
        first = session(tmp_path, 0)
        if copy == "journal":
            shutil.copytree(tmp_path / "journal", tmp_path / "copy")
        else:
            assert uploader("gpu", copy, tmp_path / "copy", "--journal", tmp_path / "journal")[0] == 0
        assert uploader("gpu", "drain", tmp_path / "copy", url=there.url)[0] == 0
        model = Api(there.url, KEY).model("t1")["id"]
        second = session(tmp_path, 1)
        assert (second.run_id, second.origin.model) == (first.run_id, model)
        assert uploader("gpu", "drain", tmp_path / "journal", url=there.url)[0] == 0
        (shown,) = Api(there.url, KEY).get("/api/models/local/demo")["models"]
        assert (shown["id"], shown["status"]) == (model, "completed")
        assert [each["epoch"] for each in Api(there.url, KEY).model("t1")["trainResults"]] == [0, 1]


def session(folder: Path, epoch: int) -> Recorder:
    """Record a session of an epoch: the first, which dies, or the second and last, which is resumed from the first."""
    save_dir = folder / "runs" / "t1"
    last = save_dir / "weights" / "last.pt"
    last.parent.mkdir(parents=True, exist_ok=True)
    recorder = Recorder.start(
        JournalOptions(str(folder / "journal")),
        project="demo",
        name="t1",
        save_dir=save_dir,
        resume=epoch > 0,
        checkpoint=last if epoch else None,
    )
    told = {"uploaderRun": recorder.run_id, "uploaderSession": recorder.session.facts()}
    told |= {"platformModel": recorder.origin.model} if recorder.origin.model else {}
    arguments = {"save_dir": str(save_dir)}
    recorder.event("training_started", {"trainArgs": arguments, "environment": told}, str(recorder.session_number))
    recorder.event("epoch_end", {"epoch": epoch, "metrics": {"loss": 1.0}}, str(epoch))
    last.write_bytes(b"%d" % epoch)
    if epoch:
        recorder.event("training_complete", {"results": {"bestEpoch": 0}, "classNames": ["box"], "plots": []})
    recorder.finish("complete" if epoch else "failed")
    return recorder
