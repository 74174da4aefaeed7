from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.journals import Engine
from support.recordings import KEY, Recordings, recordings

from uploader.server.running import RunningServer, running


@pytest.fixture(autouse=True)
def _no_stray_fallback_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("UPLOADER_FALLBACK", str(tmp_path / "fallback"))


@pytest.fixture
def journals(tmp_path: Path, engine: Engine) -> Iterator[Recordings]:
    with recordings(tmp_path / "journal", engine) as opened:
        yield opened


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with running(tmp_path / "platform", api_key=KEY) as running_server:
        yield running_server
