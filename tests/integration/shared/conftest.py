"""What tests of shared journals share: recordings in one, and a platform."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.recordings import Recordings, recordings
from support.scripted_server import ScriptedServer, scripted_server


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Recordings]:
    with recordings(tmp_path / "shared", "postgres") as opened:
        yield opened


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as running:
        yield running
