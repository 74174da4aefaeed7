"""Large checkpoints on networks that do not last for one: what is sent twice is counted on the wire."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue

import pytest
from support.cutter import cutting
from support.journals import ROOT
from support.platform_api import Api
from support.recordings import KEY, Recordings, recordings

from uploader.platforms.uploads.resumable import LEAST_CHUNK
from uploader.server.running import RunningServer, running

MIB = 1024 * 1024
CUTS = 20
SEED = 7


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with running(tmp_path / "platform", api_key=KEY) as running_server:
        yield running_server


@pytest.fixture
def journals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recordings]:
    monkeypatch.setenv("UPLOADER_FALLBACK", str(tmp_path / "fallback"))
    with recordings(tmp_path / "journal") as opened:
        yield opened


def stored(server: RunningServer, tmp_path: Path) -> str:
    """Return the digest of the model's bytes as they are on the server's disk."""
    sha256 = Api(server.url, KEY).model()["file"]["sha256"]
    [file] = (tmp_path / "platform").rglob(sha256)
    with file.open("rb") as content:
        digest = hashlib.sha256()
        while block := content.read(MIB):
            digest.update(block)
    return digest.hexdigest()


def test_twenty_cuts_cost_a_tenth_of_the_upload_at_most(
    journals: Recordings, server: RunningServer, tmp_path: Path
) -> None:
    size, chance = 200 * MIB, random.Random(SEED)
    content = chance.randbytes(size)
    journals.whole(epochs=1, content=content)
    with cutting(server.url, chance.sample(range(size), CUTS)) as between:
        assert journals.drain(between.url).exit_code == 0
    assert between.cuts == CUTS
    assert size < between.received <= 1.1 * size
    assert stored(server, tmp_path) == hashlib.sha256(content).hexdigest()


def test_a_killed_drains_upload_is_gone_on_with_by_the_next(
    journals: Recordings, server: RunningServer, tmp_path: Path
) -> None:
    size = 24 * MIB
    content = random.Random(SEED).randbytes(size)
    journals.whole(epochs=1, content=content)
    with cutting(server.url, [size // 2]) as between:
        environment = {
            **os.environ,
            "UPLOADER_JOURNAL": str(journals.journal.path),
            "ULTRALYTICS_API_KEY": KEY,
            "ULTRALYTICS_PLATFORM_URL": between.url,
        }
        pids: SimpleQueue[int] = SimpleQueue()
        between.observer = lambda: os.kill(pids.get(), signal.SIGKILL)
        with subprocess.Popen([sys.executable, "-m", "uploader", "drain"], cwd=ROOT, env=environment) as drain:
            pids.put(drain.pid)
        assert drain.returncode == -signal.SIGKILL
        assert journals.drain(between.url).exit_code == 0
    assert size < between.received < size + 2 * LEAST_CHUNK
    assert stored(server, tmp_path) == hashlib.sha256(content).hexdigest()
