"""What the soaks set for themselves in their own processes does not outlive a test here."""

from __future__ import annotations

import pytest

from journal.storage import log_room
from uploader.recording import journal_connection


@pytest.fixture(autouse=True)
def _usual_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put sizes and waits back after each test: the suites make them small to have many rounds a second."""
    monkeypatch.setattr(log_room, "ROOM_BYTES", log_room.ROOM_BYTES)
    monkeypatch.setattr(journal_connection, "BUSY_SECONDS", journal_connection.BUSY_SECONDS)
