"""A node that is wiped after `collect` said done loses nothing: the shared journal has all of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.machines import Run, machines
from support.platform_api import Api
from support.postgres_server import empty_journal
from support.recordings import KEY, recordings

from journal.opening import open_shared
from uploader.server.running import running


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with machines(tmp_path) as runs:
        yield runs


def test_what_was_collected_is_delivered_although_the_node_is_gone(run: Run, tmp_path: Path) -> None:
    folder, blobs = tmp_path / "homes/node/journal", tmp_path / "blobs"
    with running(tmp_path / "platform", api_key=KEY) as server, empty_journal() as url:
        with recordings(folder) as node:
            node.whole(epochs=20, content=b"weights" * 1000)
        assert run("node", "collect", folder, "--into", url, "--blobs", blobs)[0] == 0
        shutil.rmtree(tmp_path / "homes/node")
        code, printed, told = run("elsewhere", "drain", "--journal", url, url=server.url)
        model = Api(server.url, KEY).model()

    assert code == 0, printed + told
    assert [each["epoch"] for each in model["trainResults"]] == list(range(20))
    assert model["status"] == "completed"
    stored = [file.read_bytes() for file in (tmp_path / "platform").rglob("*") if file.is_file()]
    assert b"weights" * 1000 in stored


def test_what_waits_on_the_node_has_not_arrived_and_is_missed_by_no_drain(run: Run, tmp_path: Path) -> None:
    """The place of checkpoints takes none for a while, as one that is full."""
    folder, blobs = tmp_path / "homes/node/journal", tmp_path / "blobs"
    with running(tmp_path / "platform", api_key=KEY) as server, empty_journal() as url:
        with recordings(folder) as node:
            training = node.begin()
            training.started(epochs=1)
            for content in (b"earlier", b"newest"):
                training.checkpoint(content, "best")
            training.complete()
            training.end()
        collect = ("node", "collect", folder, "--into", url, "--blobs", blobs)
        drain, wait = (
            ("elsewhere", "drain", "--journal", url),
            ("elsewhere", "wait", "--journal", url, "--timeout", "0"),
        )
        with open_shared(url) as outbox:
            outbox.shared_blobs.decide(str(blobs))
        taken = blobs.rename(tmp_path / "away")
        assert run(*collect)[0] == 3
        taken.rename(blobs)
        assert run(*drain, url=server.url)[0] == 0  # no dead letter
        assert run(*wait, "--until", "delivered")[0] == 3
        for command in (collect, drain):
            assert run(*command, url=server.url)[0] == 0
        assert run(*wait, "--until", "delivered")[0] == 0
        model = Api(server.url, KEY).model()
    assert model["status"] == "completed"
    stored = [file.read_bytes() for file in (tmp_path / "platform").rglob("*") if file.is_file()]
    assert (b"newest" in stored, b"earlier" in stored) == (True, False)
