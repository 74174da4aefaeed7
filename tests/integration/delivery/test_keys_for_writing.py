"""A key that may write and not read: what has to be read first waits, is said, and holds nothing else."""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import Any

import pytest
from support.journals import rows
from support.recordings import KEY, Recordings
from support.scripted_server import Reply, Request, Script, ScriptedServer, received
from support.settings import settings

from uploader.delivery import sender_manager
from uploader.delivery.sender import READS_REFUSED
from uploader.delivery.timing import Timing
from uploader.settings import Settings

ON_BOTH_ENGINES = True
OLD = f"Bearer {KEY}"
NO = Reply(401, {"error": "not with this key"})
PATIENT = Timing(first_wait=1000.0)
"""What fails once is not worth waiting for: a drain that is to end some time ends."""


def lose_registrations(journals: Recordings, server: ScriptedServer, *names: str) -> None:
    """Record whole runs, and have each one's registration sent once, without an answer."""
    for name in names:
        run = journals.whole(name).run
        server.script = lambda _: Reply(reset=True)
        journals.drain(server.url, timing=PATIENT, runs=(run.id,))
        journals.end_pauses()
    sent = "SELECT state, attempts FROM deliveries WHERE kind = 'training_started'"
    assert set(rows(journals.journal.path, sent)) == {("pending", 1)}
    server.requests.clear()


def for_writing(request: Request) -> Reply:
    return NO if request.method == "GET" else received(request)


def registered(server: ScriptedServer) -> list[str]:
    return [body["name"] for body in server.bodies() if body.get("event") == "training_started"]


def test_what_must_be_read_first_waits_and_all_else_arrives(journals: Recordings, server: ScriptedServer) -> None:
    lose_registrations(journals, server, "lost")
    journals.whole("other")
    server.script = for_writing
    summary = journals.drain(server.url)
    assert summary.exit_code == 3
    [destination] = summary.destinations
    assert destination.state == "work remains"
    assert "401" in str(destination.error)
    assert "a key that may read" in str(destination.error)
    assert registered(server) == ["other"]
    assert server.bodies()[-1]["event"] == "training_complete"
    server.script = received
    assert journals.drain(server.url).exit_code == 0
    assert registered(server) == ["other", "lost"]


def test_a_key_that_is_good_for_nothing_is_called_so(journals: Recordings, server: ScriptedServer) -> None:
    lose_registrations(journals, server, "one")
    server.script = lambda _: NO
    assert journals.drain(server.url).exit_code == 5
    assert len(server.requests) == 1


def test_nor_is_it_tried_for_each_run(journals: Recordings, server: ScriptedServer) -> None:
    lose_registrations(journals, server, *map(str, range(READS_REFUSED + 2)))
    server.script = lambda _: NO
    assert journals.drain(server.url).exit_code == 5
    assert len(server.requests) == READS_REFUSED


@pytest.mark.parametrize("allowed", ["the same key", "another key"])
def test_a_watching_drain_says_so_and_goes_on_when_it_may_read(
    journals: Recordings, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, allowed: str
) -> None:
    lose_registrations(journals, server, "lost")
    told: SimpleQueue[str] = SimpleQueue()
    monkeypatch.setattr(sender_manager._LOG, "warning", lambda message, *values: told.put(message % values))
    may_read, complete = threading.Event(), threading.Event()
    server.script = _reading_when(may_read, complete, allowed)

    def reread() -> Settings:
        key = "ul_another" if may_read.is_set() else KEY
        return settings(key, server.url)

    timing = Timing(reread=0.01, reopen=0.2 if allowed == "the same key" else 1.0)
    with journals.draining(server.url, watch=True, timing=timing, reread=reread):
        assert "is sent; 127.0.0.1" in told.get(timeout=100)
        may_read.set()
        assert complete.wait(100)


def _reading_when(may_read: threading.Event, complete: threading.Event, allowed: str) -> Script:
    def script(request: Request) -> Reply:
        is_old = request.headers.get("authorization") == OLD and allowed == "another key"
        if request.method == "GET" and (is_old or not may_read.is_set()):
            return NO
        body: Any = request.json() if request.method == "POST" else {}
        if body.get("event") == "training_complete":
            complete.set()
        return received(request)

    return script
