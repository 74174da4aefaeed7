from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.journals import Engine
from support.recordings import Recordings, recordings
from support.scripted_server import ScriptedServer, scripted_server

from uploader.delivery import drain


@pytest.fixture(autouse=True)
def _no_stray_fallback_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("UPLOADER_FALLBACK", str(tmp_path / "fallback"))


@pytest.fixture(autouse=True)
def _looks_around_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drain, "TICK_SECONDS", 0.02)


@pytest.fixture
def journals(tmp_path: Path, engine: Engine) -> Iterator[Recordings]:
    with recordings(tmp_path / "journal", engine) as opened:
        yield opened


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as running:
        yield running
