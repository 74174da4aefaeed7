"""Checkpoints of a shared journal, kept by a real S3 server and in a folder, and sent from there to platforms."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from support.contracts import hub, ultralytics
from support.cutter import cutting
from support.journals import later, rows, until
from support.machines import machines
from support.object_storage import SECRET_KEY
from support.postgres_server import empty_journal
from support.recordings import Recordings, recordings
from support.resumable_storage import GcsStorage, TusStorage
from support.scripted_server import Reply, Request, ScriptedServer, scripted_server

from journal.errors import BlobMissing, BlobsUnavailable, SourceChanged
from journal.opening import open_shared
from journal.shared_blobs.blob_places import checked_place, open_place
from journal.shared_blobs.shared_store import NOTE, BlobPlace
from uploader.errors import BlobUnusable
from uploader.platforms.base import RunIdentity, Upload
from uploader.platforms.http.file_body import StoreAway

if TYPE_CHECKING:
    from journal.object_stores.object_client import ObjectClient

JOURNAL = "0b5a3a3e-0000-4000-8000-000000000001"
CONTENT = bytes(range(256)) * 4096  # one megabyte
LARGE = bytes(range(256)) * (20 << 12)  # 20 MiB: three parts


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "shared") if request.param == "folder" else str(request.getfixturevalue("bucket"))


@pytest.fixture
def blobs(place: str) -> BlobPlace:
    return claimed(place)


def claimed(place: str) -> BlobPlace:
    opened = open_place(checked_place(place), JOURNAL)
    opened.claim()
    return opened


def sha256_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def put(blobs: BlobPlace, content: bytes, sha256: str | None = None, between: Callable[[], object] = bool) -> str:
    sha256 = sha256 or sha256_of(content)
    blobs.put(io.BytesIO(content), sha256, len(content), between)
    return sha256


def read(blobs: BlobPlace, sha256: str) -> bytes:
    opened = blobs.find(sha256).open("rb")
    try:
        return b"".join(iter(lambda: opened.read(1 << 20), b""))
    finally:
        opened.close()


@pytest.mark.parametrize("content", [b"", b"weights", LARGE], ids=["empty", "small", "in parts"])
def test_bytes_come_back_from_anywhere_in_them_until_they_are_removed(blobs: BlobPlace, content: bytes) -> None:
    sha256 = put(blobs, content)
    assert (blobs.size(sha256), blobs.names(), read(blobs, sha256)) == (len(content), [sha256], content)
    opened = blobs.find(sha256).open("rb")
    assert opened.seek(0, os.SEEK_END) == len(content)
    assert opened.read(10) == b""
    for offset in (len(content) // 2, 3, (8 << 20) - 2, 0):
        opened.seek(offset)
        got = opened.read(5)
        assert got + opened.read(5 - len(got)) == content[offset:][:5]
    opened.close()
    blobs.remove(sha256)
    blobs.clear()
    assert (blobs.size(sha256), blobs.names()) == (None, [])
    with pytest.raises(BlobMissing, match=sha256[:12]):
        blobs.find(sha256)


def test_what_is_there_is_not_sent_again_and_what_was_damaged_there_is(place: str, blobs: BlobPlace) -> None:
    sha256 = put(blobs, CONTENT)
    steps: list[object] = []
    put(blobs, CONTENT, between=lambda: steps.append(None))
    assert steps == []
    overwrite(place, sha256, CONTENT[:-1] + b"?")
    put(blobs, CONTENT, between=lambda: steps.append(None))
    assert read(blobs, sha256) == CONTENT


def objects_in(place: str) -> ObjectClient:
    """Return what the objects in a bucket are reached by, past all that keeps checkpoints there."""
    from journal.shared_blobs.object_blobs import ObjectBlobs

    return ObjectBlobs(place, JOURNAL)._objects


def overwrite(place: str, sha256: str, content: bytes) -> None:
    """Damage what a store keeps, as no client of ours does."""
    if place.startswith("s3:"):
        objects_in(place).put(sha256, content)
    else:
        (Path(place) / sha256).write_bytes(content)


@pytest.mark.parametrize("content", [b"weights", LARGE], ids=["small", "in parts"])
def test_bytes_that_are_not_those_that_were_recorded_are_not_kept(blobs: BlobPlace, content: bytes) -> None:
    for wrong in (content[:-1], content[:-1] + b"?", content + b"?"):
        with pytest.raises(SourceChanged, match="other bytes than were recorded"):
            blobs.put(io.BytesIO(wrong), sha256_of(content), len(content))
    assert blobs.names() == []


KILLED = """
import io, os, signal, sys
from itertools import count
from journal.shared_blobs.blob_places import open_place
steps, content = count(), bytes(range(256)) * (20 << 12)

def between():
    if next(steps) == 15:
        os.kill(os.getpid(), signal.SIGKILL)

open_place(sys.argv[1], sys.argv[2]).put(io.BytesIO(content), sys.argv[3], len(content), between)
"""


def test_a_kill_in_the_middle_leaves_nothing_that_could_be_taken_for_the_whole(place: str, blobs: BlobPlace) -> None:
    sha256 = sha256_of(LARGE)
    killed = subprocess.run([sys.executable, "-c", KILLED, place, JOURNAL, sha256])
    assert killed.returncode == -signal.SIGKILL
    assert (blobs.names(), blobs.size(sha256)) == ([], None)
    put(blobs, LARGE)
    assert read(blobs, sha256) == LARGE


@contextmanager
def hidden(place: str, sha256: str) -> Iterator[None]:
    """Leave an empty place there, as in a folder that is not mounted, or at another endpoint; bring all back."""
    if place.startswith("s3:"):
        client = objects_in(place)
        there = {name: client.get(name) for name in (NOTE, sha256)}
        for name in there:
            client.delete(name)
        yield
        for name, content in there.items():
            client.put(name, content)
        return
    unmounted = Path(f"{place} unmounted")
    Path(place).rename(unmounted)
    Path(place).mkdir()
    yield
    Path(place).rmdir()
    unmounted.rename(place)


def test_where_all_are_gone_none_is_missing_and_none_is_put(place: str, blobs: BlobPlace) -> None:
    sha256 = put(blobs, CONTENT)
    with hidden(place, sha256):
        for attempt in (lambda: blobs.find(sha256), lambda: put(blobs, b"weights"), blobs.names):
            with pytest.raises(BlobsUnavailable, match=f"has no {NOTE}"):
                attempt()
    assert read(blobs, sha256) == CONTENT


def test_two_journals_do_not_share_a_place(place: str, blobs: BlobPlace) -> None:
    blobs.claim()
    with pytest.raises(BlobsUnavailable, match="another journal"):
        open_place(place, "another").claim()
    with pytest.raises(BlobsUnavailable, match="another journal"):
        put(open_place(place, "another"), CONTENT)


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("blobs", "absolute folder"),
        ("s3://key:secret@bucket/blobs", "credentials do not belong"),
        ("https://bucket.example/blobs?X-Amz-Signature=s", "begins with s3://"),
    ],
)
def test_a_place_that_cannot_be_one_is_told(place: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        checked_place(place)


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("AWS_SECRET_ACCESS_KEY", "another-secret", "cannot be read: its credentials are missing, wrong"),
        ("AWS_ACCESS_KEY_ID", "another-key", "or there is no such bucket; check its name"),
        ("AWS_ENDPOINT_URL", "http://user:s3cret@127.0.0.1:9", "cannot be read: it cannot be reached"),
    ],
)
def test_what_keeps_a_store_from_answering_is_said_without_a_secret(
    bucket: str, monkeypatch: pytest.MonkeyPatch, name: str, value: str, why: str
) -> None:
    claimed(bucket)
    monkeypatch.setenv(name, value)
    with pytest.raises(BlobsUnavailable, match=why) as caught:
        open_place(bucket, JOURNAL).find(sha256_of(CONTENT))
    told = "".join(traceback.format_exception(caught.value))
    assert not any(secret in told for secret in ("another-secret", SECRET_KEY, "s3cret", "Signature", "http://"))


def test_a_bucket_that_is_not_there_is_to_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """As S3 answers; the server of these tests makes each bucket that it is asked for."""
    pytest.importorskip("obstore")
    answer = b"<Error><Code>NoSuchBucket</Code><BucketName>none</BucketName></Error>"
    with scripted_server(lambda _: Reply(404, answer, {"Content-Type": "application/xml"})) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        place = open_place("s3://none/blobs", JOURNAL)
        with pytest.raises(BlobsUnavailable, match="no such bucket or container; create it first"):
            place.claim()
        with pytest.raises(BlobsUnavailable, match="is there such a bucket"):
            place.find(sha256_of(CONTENT))


class Way:
    """A way in which a platform takes a checkpoint, in small pieces of the store's.

    Attributes:
        script: What the server answers.
        ids: Of the run.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.kind = hub.CLIENT if name == "form" else ultralytics.CLIENT
        self.storage = {"tus": TusStorage, "gcs": GcsStorage}.get(name, lambda: None)()
        self.script = self.storage or self.kind.answers

    def arrived(self, server: ScriptedServer) -> list[bytes]:
        """Return the files that are there whole."""
        if isinstance(self.storage, TusStorage):
            return [bytes(one) for one in self.storage.uploads.values() if len(one) == len(CONTENT)]
        if isinstance(self.storage, GcsStorage):
            return [bytes(one) for one in self.storage.sessions if len(one) == len(CONTENT)]
        files = (self.kind.file_of(request) for request in server.requests)
        return [file for file in files if file is not None and len(file) == len(CONTENT)]


@pytest.fixture(params=["put", "form", "tus", "gcs"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Way:
    if find_spec("obstore"):
        monkeypatch.setattr("journal.shared_blobs.object_blobs.PART", 300_000)
    return Way(request.param)


def upload_of(blobs: BlobPlace, sha256: str, way: Way) -> Upload:
    identity = RunIdentity("uuid-1", "demo", "train", way.kind.ids)
    return Upload("c" * 64, blobs.find(sha256), len(CONTENT), sha256, "best.pt", identity, form={"type": "final"})


def test_a_platform_gets_it_from_the_store_in_each_way_that_it_takes_it(blobs: BlobPlace, way: Way) -> None:
    sha256 = put(blobs, CONTENT)
    with scripted_server(way.script) as server, closing(way.kind.connect(server.url)) as client:
        receipt = client.upload(upload_of(blobs, sha256, way), lambda _: None)
        assert (receipt.answer["sha256"], way.arrived(server)) == (sha256, [CONTENT])


def test_a_platform_never_has_all_of_one_that_was_damaged_in_the_store(place: str, blobs: BlobPlace, way: Way) -> None:
    sha256 = put(blobs, CONTENT)
    overwrite(place, sha256, CONTENT[:-1] + b"?")
    with scripted_server(way.script) as server, closing(way.kind.connect(server.url)) as client:
        with pytest.raises(BlobUnusable, match="damaged"):
            client.upload(upload_of(blobs, sha256, way), lambda _: None)
        assert way.arrived(server) == []


@pytest.mark.parametrize(("way", "requests"), [("tus", 1), ("gcs", 1), ("gcs", 4)], indirect=["way"])
def test_a_store_that_fails_in_the_middle_is_told_and_the_rest_is_sent_when_it_is_back(
    bucket: str, way: Way, requests: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After four requests Google's has it all, and what it says of it is compared with what the store has."""
    sha256, away, asked = put(claimed(bucket), CONTENT), threading.Event(), []
    with (
        cutting(os.environ["AWS_ENDPOINT_URL"], ()) as between,
        scripted_server(way.script) as server,
        closing(way.kind.connect(server.url)) as client,
    ):
        between.cuts_after = lambda _: away.is_set()
        monkeypatch.setenv("AWS_ENDPOINT_URL", between.url)
        upload = upload_of(open_place(bucket, JOURNAL), sha256, way)

        def fault(request: Request) -> Reply | None:
            asked.append(request.method)
            if asked.count({"tus": "PATCH", "gcs": "PUT"}[way.name]) == requests:
                away.set()
            return None

        way.storage.fault = fault
        with pytest.raises(StoreAway, match=f"the checkpoints in {bucket} cannot be read: it cannot be") as caught:
            client.upload(upload, lambda _: None)
        told = "".join(traceback.format_exception(caught.value))
        assert not any(secret in told for secret in (SECRET_KEY, "Signature", "X-Amz", "http://"))
        away.clear()
        way.storage.fault = lambda _: None
        client.upload(upload, lambda _: None)
        assert way.arrived(server) == [CONTENT]
        assert sum(one.path.endswith("/models/upload") for one in server.requests) == 1  # where it was begun


MEMORY = """
import hashlib, re, sys
from pathlib import Path
from journal.shared_blobs.blob_places import open_place
from uploader.platforms.http.file_body import BlobReader

def peak():
    return int(re.search(r"VmHWM:\\s+([0-9]+)", Path("/proc/self/status").read_text())[1]) * 1024

class Zeros:
    left = int(sys.argv[3])
    def read(self, size):
        block = bytes(min(size, self.left))
        self.left -= len(block)
        return block

def both(size):
    digest, Zeros.left = hashlib.sha256(), size
    for _ in range(size >> 20):
        digest.update(bytes(1 << 20))
    blobs.put(Zeros(), digest.hexdigest(), size)
    with BlobReader(blobs.find(digest.hexdigest()), size, digest.hexdigest(), lambda _: None) as reader:
        assert sum(map(len, reader)) == size

blobs = open_place(sys.argv[1], sys.argv[2])
both(48 << 20)
before = peak()
both(int(sys.argv[3]))
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_a_large_one_takes_no_more_memory_than_a_few_of_its_parts(bucket: str) -> None:
    claimed(bucket)
    command = [sys.executable, "-c", MEMORY, bucket, JOURNAL, str(200 << 20)]
    grown = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert grown < 100 << 20


@pytest.fixture
def journals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recordings]:
    monkeypatch.setenv("UPLOADER_FALLBACK", str(tmp_path / "fallback"))
    with recordings(tmp_path / "journal") as opened:
        yield opened


def kept_elsewhere(journals: Recordings, blobs: BlobPlace) -> str:
    """Record a training whose checkpoint is in the store alone; return its sha256."""
    journals.whole(content=CONTENT)
    [sha256] = journals.journal.blobs.names()
    journals.journal.local_blobs.path(sha256).unlink()
    put(blobs, CONTENT)
    journals.journal.blobs = blobs
    return sha256


def test_a_drain_sends_what_the_store_keeps(journals: Recordings, blobs: BlobPlace) -> None:
    kept_elsewhere(journals, blobs)
    with scripted_server() as server:
        [destination] = journals.drain(server.url).destinations
        assert (destination.state, destination.dead) == ("up to date", 0)
        assert [request.body for request in server.requests if request.method == "PUT"] == [CONTENT]


def test_a_drain_sets_one_that_is_missing_aside(journals: Recordings, blobs: BlobPlace) -> None:
    blobs.remove(kept_elsewhere(journals, blobs))
    with scripted_server() as server:
        [destination] = journals.drain(server.url).destinations
        assert destination.dead == 1
    state, told = upload_row(journals)
    assert state == "dead"
    assert "it was removed or given up; `collect` brings it from the machine with" in told


def test_a_drain_sends_all_else_while_the_store_is_away_and_then_the_rest(
    journals: Recordings, place: str, blobs: BlobPlace, caplog: pytest.LogCaptureFixture
) -> None:
    sha256 = kept_elsewhere(journals, blobs)
    with scripted_server() as server:
        with hidden(place, sha256), journals.draining(server.url):
            until(lambda: upload_row(journals)[1] != "" and left(journals) == ["checkpoint", "training_complete"])
        assert "unexpected" not in caplog.text
        state, told = upload_row(journals)
        assert (state, f"has no {NOTE}" in told) == ("pending", True)
        assert [one for one in server.requests if one.method == "PUT"] == []
        [destination] = journals.drain(server.url).destinations
        assert (destination.state, destination.dead) == ("up to date", 0)
        assert [one.body for one in server.requests if one.method == "PUT"] == [CONTENT]


def upload_row(journals: Recordings) -> tuple[str, str]:
    found = rows(journals.journal.path, "SELECT state, coalesce(last_error, '') FROM deliveries WHERE lane = 'upload'")
    return found[0] if found else ("", "")


def left(journals: Recordings) -> list[str]:
    query = "SELECT DISTINCT kind FROM deliveries WHERE state != 'delivered' ORDER BY kind"
    return [kind for (kind,) in rows(journals.journal.path, query)]


def test_a_checkpoint_of_a_node_that_is_gone_is_delivered_by_a_machine_that_never_had_it(
    place: str, tmp_path: Path
) -> None:
    node, home = tmp_path / "node", tmp_path / "homes" / "b"
    with recordings(node) as opened:
        opened.whole(content=CONTENT)
    with empty_journal() as url, machines(tmp_path) as run, scripted_server() as platform:
        code, printed, told = run("a", "collect", node, "--into", url, "--blobs", place)
        assert (code, "1 new checkpoint" in printed) == (0, True), printed + told
        shutil.rmtree(node)
        code, printed, told = run("b", "drain", "--journal", url, url=platform.url)
        assert code == 0, printed + told
        assert [one.body for one in platform.requests if one.method == "PUT"] == [CONTENT]
        assert not [file for file in home.rglob("*") if file.is_file() and file.stat().st_size >= len(CONTENT)]
        with open_shared(url) as outbox:
            kept = outbox.blobs.names()
            assert kept == [sha256_of(CONTENT)]
            with outbox.begin(read_only=True) as connection:
                written = connection.execute(text("SELECT string_agg(CAST(f AS TEXT), ' ') FROM facts f")).scalar_one()
            assert outbox.prune(later(7200)).blobs == 1
            assert outbox.blobs.names() == []
        assert not any(secret in written for secret in (SECRET_KEY, "a-key", "127.0.0.1"))


@pytest.mark.parametrize(("fault", "first"), [("lost", "collect"), ("damaged", "collect"), ("lost", "retry")])
def test_one_that_the_store_has_lost_or_damaged_is_brought_again_and_sent(
    place: str, tmp_path: Path, fault: str, first: str
) -> None:
    with recordings(tmp_path / "node") as opened:
        opened.whole(content=CONTENT)
    with empty_journal() as url, machines(tmp_path) as run, scripted_server() as platform:
        collect = ("a", "collect", tmp_path / "node", "--into", url, "--blobs", place)
        assert run(*collect)[0] == 0
        if fault == "damaged":
            overwrite(place, sha256_of(CONTENT), CONTENT[:-1] + b"?")
        else:
            with open_shared(url) as outbox:
                outbox.shared_blobs.remove(sha256_of(CONTENT))
        code, printed, told = run("b", "drain", "--journal", url, url=platform.url)
        why = {"lost": "`collect` brings it", "damaged": "its bytes have another sha256"}[fault]
        assert (code, why in printed + told) == (4, True)
        with open_shared(url) as outbox:
            assert first != "retry" or outbox.retry().letters == 1
            code, printed, _ = run(*collect)
            assert (code, "1 new checkpoint" in printed) == (0, True)
            assert first == "retry" or outbox.retry().letters == 1
        assert run("b", "drain", "--journal", url, url=platform.url)[0] == 0
        assert [one.body for one in platform.requests if one.method == "PUT"][-1] == CONTENT
        assert "0 new checkpoints" in run(*collect)[1]
