"""What tests of shared journals share: recordings in one, an empty one, a node's, and a platform."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.postgres_server import empty_journal
from support.recordings import Recordings, recordings
from support.scripted_server import ScriptedServer, scripted_server


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Recordings]:
    with recordings(tmp_path / "shared", "postgres") as opened:
        yield opened


@pytest.fixture
def url() -> Iterator[str]:
    """The URL of an empty one."""
    with empty_journal() as found:
        yield found


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Recordings]:
    """Recordings in a journal of a machine's own."""
    with recordings(tmp_path / "node") as opened:
        yield opened


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as running:
        yield running
