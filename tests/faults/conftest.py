"""The engines of the journals whose drains are killed; and what soaks set for themselves does not outlive a test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from soaks.databases import Databases, database_server, why_not
from support.engines import engine, pytest_generate_tests
from support.journals import Engine

from journal.storage import log_room
from uploader.recording import journal_connection

__all__ = ["databases", "engine", "pytest_generate_tests", "server_of_databases"]


@pytest.fixture(scope="module")
def server_of_databases() -> Iterator[Databases]:
    """One that is this module's alone, and may be killed."""
    if reason := why_not():
        pytest.skip(reason)
    with database_server() as made:
        yield made


@pytest.fixture
def databases(engine: Engine, request: pytest.FixtureRequest) -> Databases | None:
    """Where the journals are that are drained; None for those in files."""
    return request.getfixturevalue("server_of_databases") if engine == "postgres" else None


@pytest.fixture(autouse=True)
def _usual_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put sizes and waits back after each test: the suites make them small to have many rounds a second."""
    monkeypatch.setattr(log_room, "ROOM_BYTES", log_room.ROOM_BYTES)
    monkeypatch.setattr(journal_connection, "BUSY_SECONDS", journal_connection.BUSY_SECONDS)
