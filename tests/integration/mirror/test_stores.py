"""What every store has to do: a folder, an object store by a real S3 server, and Azure's where Azurite is installed."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.azure_storage import CONTAINER, azure_storage, azurite
from support.journals import until
from support.mirrors import export
from support.object_storage import SECRET_KEY
from support.scripted_server import Reply, scripted_server

from journal.errors import MirrorUnavailable
from journal.mirror import checkpoint_parts
from journal.mirror.mirror_addresses import open_store
from journal.mirror.stores import Store
from uploader.__main__ import main
from uploader.recording.journal_options import JournalOptions
from uploader.recording.recorder import Recorder

_number = count()


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    pytest.importorskip("obstore")
    pytest.importorskip("azure.storage.blob")
    if azurite() is None:
        pytest.skip("npm install azurite, and put node_modules/.bin on the path")
    with azure_storage(tmp_path_factory.mktemp("azure")) as environment:
        yield environment


@pytest.fixture
def container(azure: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the address of an empty folder in a container."""
    for name, value in azure.items():
        monkeypatch.setenv(name, value)
    return f"az://{CONTAINER}/{next(_number)}"


@pytest.fixture(params=["folder", "s3", "azure"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return open_store(str(tmp_path / "mirror"))
    return open_store(request.getfixturevalue({"s3": "bucket", "azure": "container"}[request.param]))


def put_file(store: Store, file: Path, between: object = lambda: None) -> str:
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    with file.open("rb") as reader:
        store.put_file(f"blobs/{sha256}", reader, sha256, between)  # type: ignore[arg-type]
    return f"blobs/{sha256}"


def test_objects_are_stored_listed_and_deleted(store: Store) -> None:
    store.put("runs/a/1", b"one")
    store.put("runs/a/1", b"one")
    store.put("runs/ab/2", b"two")
    assert [store.get(name) for name in ("runs/a/1", "runs/ab/2", "runs/a/nothing", "nothing/at/all")] == [
        b"one",
        b"two",
        None,
        None,
    ]
    assert [found.name for found in store.list("runs/a/")] == ["runs/a/1"]
    assert sorted((found.name, found.size) for found in store.list()) == [("runs/a/1", 3), ("runs/ab/2", 3)]
    assert all(found.written_at > 1e9 for found in store.list())
    store.delete("runs/a/1")
    store.delete("runs/a/1")
    assert [found.name for found in store.list("runs/")] == ["runs/ab/2"]
    assert list(store.list("nothing/")) == []


def test_deleting_what_is_not_there_is_no_error_where_a_store_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Google's does, and Azure's, but not S3."""
    pytest.importorskip("obstore")
    with scripted_server(lambda _: Reply(404)) as server:
        account = {"gcs_base_url": server.url, "disable_oauth": True}
        (tmp_path / "account.json").write_text(
            json.dumps({**account, "client_email": "", "private_key": "", "private_key_id": ""})
        )
        monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT", str(tmp_path / "account.json"))
        open_store("gs://mirrors/a").delete("blobs/none")
        assert [(one.method, one.path) for one in server.requests] == [("DELETE", "/mirrors/a%2Fblobs%2Fnone")]


@pytest.mark.parametrize("size", [0, 7, 20 << 20])
def test_files_come_back_byte_by_byte(store: Store, tmp_path: Path, size: int) -> None:
    file = tmp_path / "file"
    file.write_bytes((b"0123456" * (size // 7 + 1))[:size])
    name = put_file(store, file)
    assert put_file(store, file) == name
    assert store.digest(name) == name.removeprefix("blobs/")
    assert store.get_file(name, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == file.read_bytes()
    assert not store.get_file("blobs/none", tmp_path / "none")
    assert not (tmp_path / "none").exists()
    assert store.digest("blobs/none") is None


def test_a_file_whose_storing_ends_in_the_middle_is_not_there(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(20 << 20))
    steps = count()

    def between() -> None:
        if next(steps) == 15:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        put_file(store, file, between)
    assert list(store.list("blobs/")) == []
    assert store.digest(put_file(store, file)) is not None


def test_a_checkpoint_in_parts_is_resumed_where_its_upload_ended(store: Store, tmp_path: Path) -> None:
    (file := tmp_path / "last.pt").write_bytes(content := bytes(range(256)) * (3 << 12))
    sha256 = hashlib.sha256(content).hexdigest()
    sent: list[object] = []

    def between() -> None:
        sent.append(None)
        if len(sent) == 10:
            raise MirrorUnavailable("it went away")

    with file.open("rb") as reader, pytest.raises(MirrorUnavailable):
        checkpoint_parts.put(store, reader, sha256, between)
    assert checkpoint_parts.fetch(store, sha256, tmp_path / "there") is None
    there = {one.name: one.written_at for one in store.list("parts/")}
    assert len(there) == 10
    with file.open("rb") as reader:
        checkpoint_parts.put(store, reader, sha256, lambda: None)
    assert there.items() <= {one.name: one.written_at for one in store.list("parts/")}.items()  # none was sent again
    assert checkpoint_parts.fetch(store, sha256, tmp_path / "back") == sha256
    assert (tmp_path / "back").read_bytes() == content
    checkpoint_parts.delete(store, sha256)
    assert list(store.list()) == []


def test_a_training_is_mirrored_to_s3_and_brought_back(bucket: str, tmp_path: Path) -> None:
    options = JournalOptions(str(tmp_path / "lost"), mirror=bucket)
    (tmp_path / "train").mkdir()
    recorder = Recorder.start(options, project="p", name="n", save_dir=tmp_path / "train", resume=False)
    recorder.event("epoch_end", {"epoch": 0}, "0")
    (tmp_path / "last.pt").write_bytes(b"weights")
    recorder.checkpoint(tmp_path / "last.pt", role="last", epoch=0, publish=True, is_best=False)
    recorder.finish("complete")
    assert recorder.safety
    assert f"2 events and 1 checkpoint acknowledged by the mirror {bucket}" in recorder.safety
    restored = CliRunner().invoke(main, ["restore", bucket, "--journal", str(tmp_path / "new")])
    assert restored.exit_code == 0, restored.output
    assert export(tmp_path / "new") == export(tmp_path / "lost")
    checked = CliRunner().invoke(main, ["mirror", "--check", bucket])
    assert (checked.exit_code, "nothing is wrong" in checked.output) == (0, True)
    drained = CliRunner().invoke(main, ["drain", bucket], env={"HOME": str(tmp_path / "home")})
    assert drained.exit_code == 5, drained.output  # everything came in, and no key is there


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("AWS_SECRET_ACCESS_KEY", "another-secret", "credentials"),
        ("AWS_ENDPOINT_URL", "http://user:s3cret@127.0.0.1:9", "cannot be reached"),
    ],
)
def test_what_keeps_a_store_from_answering_is_said_without_a_secret(
    bucket: str, monkeypatch: pytest.MonkeyPatch, name: str, value: str, why: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(MirrorUnavailable, match=why) as caught:
        open_store(bucket).put("runs/a", b"1")
    told = f"{caught.value} {caught.value.__cause__}"
    assert not any(secret in told for secret in ("another-secret", SECRET_KEY, "s3cret", "Signature", "http://"))


def test_a_bucket_of_somebody_else_is_named(bucket: str) -> None:
    with pytest.raises(MirrorUnavailable, match=r"^the mirror s3://another/x cannot be \w+: its credentials"):
        open_store("s3://another/x").put("runs/a", b"1")


def test_mirroring_to_s3_keeps_up_with_fifty_events_a_second(bucket: str, tmp_path: Path) -> None:
    """That nothing is left, without being told to end; how late it was is no question of a test."""
    options = JournalOptions(str(tmp_path / "journal"), "process", mirror=bucket)
    recorder = Recorder.start(options, project="p", name="n", save_dir=tmp_path, resume=False)
    pause = threading.Event()
    for number in range(50):
        recorder.event("epoch_end", {"epoch": number}, str(number))
        pause.wait(0.002)
    until(lambda: bool(recorder._mirror) and recorder._mirror.state.events == 50)
    recorder.finish("complete")
