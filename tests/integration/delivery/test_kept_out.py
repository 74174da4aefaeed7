"""Pages that something in between answers: for one delivery, again and again, or for all of them for a while."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from support.journals import rows, until
from support.recordings import Recordings
from support.scripted_server import Reply, Request, Script, ScriptedServer, received

from journal.outbox.kept_out import PAGES
from uploader.delivery.timing import Timing

ON_BOTH_ENGINES = True
QUICK = Timing(first_wait=0.01)
TOO_LARGE = Reply(413, b"<html><title>413 Request Entity Too Large</title></html>", {"Content-Type": "text/html"})
BLOCKED = Reply(403, b"<html><title>Request blocked</title></html>", {"Content-Type": "text/html"})


def keeping_out(part: bytes, page: Reply) -> Script:
    return lambda request: page if part in request.body else received(request)


def retry(journals: Recordings) -> None:
    journals.journal.retry()


def states(journals: Recordings) -> dict[str, str]:
    return dict(rows(journals.journal.path, "SELECT kind, state FROM deliveries"))


def left(journals: Recordings) -> list[tuple[str, int]]:
    """Return what has not arrived, and how often each was tried."""
    query = "SELECT kind, attempts FROM deliveries WHERE state <> 'delivered' ORDER BY id"
    return rows(journals.journal.path, query)


def were_tried(journals: Recordings, pages: int) -> bool:
    """Return whether the first was tried so often, and the milestone after it as well."""
    tried = [attempts for _, attempts in left(journals)]
    return len(tried) > 1 and tried[0] >= pages and tried[1] >= 1


def drain_until(journals: Recordings, url: str, is_reached: Callable[[], bool]) -> int:
    """Drain until something is reached, and return the exit code."""
    with journals.draining(url, timing=QUICK, max_time=600.0) as running:
        until(is_reached)
    return running.summary().exit_code


@pytest.mark.parametrize("page", [TOO_LARGE, BLOCKED], ids=["413", "403"])
def test_a_message_that_is_kept_out_holds_no_end(journals: Recordings, server: ScriptedServer, page: Reply) -> None:
    training = journals.begin()
    training.started()
    training.epoch(0)
    training.console(1, "a long text")  # the last before the end: nothing else is sent while it is tried again
    training.complete()
    training.end()
    server.script = keeping_out(b"a long text", page)
    assert journals.drain(server.url, timing=QUICK).exit_code == 4
    assert server.bodies()[-2]["event"] == "training_complete"
    [(kind, reason)] = rows(journals.journal.path, "SELECT kind, reason FROM dead_letters")
    assert kind == "console_output"
    assert "other deliveries get through" in reason
    assert "retry" in reason
    server.script = received
    retry(journals)
    assert journals.drain(server.url).exit_code == 0
    assert server.bodies()[-1]["data"]["content"] == "a long text"


def test_a_message_that_is_kept_out_holds_no_later_session(journals: Recordings, server: ScriptedServer) -> None:
    """The first session was killed, so the start of the second is all that can show whether others arrive."""
    training = journals.begin()
    training.started()
    training.epoch(0)
    training.console(1, "a long text")
    training.end("exited")
    resumed = journals.begin(run_id=training.run.id)
    resumed.started()
    resumed.epoch(1)
    resumed.complete()
    resumed.end()
    server.script = keeping_out(b"a long text", TOO_LARGE)
    assert journals.drain(server.url, timing=QUICK).exit_code == 4
    [(kind, reason)] = rows(journals.journal.path, "SELECT kind, reason FROM dead_letters")
    assert kind == "console_output"
    assert "other deliveries get through" in reason
    arrived = [body["event"] for body in server.bodies() if body["event"] != "console_output"]
    assert arrived == ["training_started", "epoch_end", "training_started", "epoch_end", "training_complete"]


@pytest.mark.parametrize("is_resumed", [False, True], ids=["end", "resumed"])
def test_pages_for_all_decide_nothing_however_many(
    journals: Recordings, server: ScriptedServer, is_resumed: bool
) -> None:
    training = journals.begin()
    training.started()
    server.script = received
    journals.drain(server.url)
    training.epoch(0)
    if is_resumed:
        training.end("exited")
        training = journals.begin(run_id=training.run.id)
        training.started()
    training.complete()
    training.end()
    server.script = lambda _: BLOCKED
    for pages in range(2, PAGES + 3, 2):  # the waits begin anew each time
        assert drain_until(journals, server.url, partial(were_tried, journals, pages)) == 3
        journals.end_pauses()
    server.script = received
    assert journals.drain(server.url).exit_code == 0


def test_an_upload_that_is_kept_out_waits_and_holds_no_end(journals: Recordings, server: ScriptedServer) -> None:
    """Other uploads would show whether its pages are for it alone; messages go elsewhere."""
    journals.whole()

    def script(request: Request) -> Reply:
        return BLOCKED if request.method == "PUT" else received(request)

    server.script = script
    drain_until(journals, server.url, lambda: [kind for kind, _ in left(journals)] == ["checkpoint"])
    assert states(journals) == {
        "training_started": "delivered",
        "console_output": "delivered",
        "epoch_end": "delivered",
        "checkpoint": "pending",
        "training_complete": "delivered",
    }
    server.script = received
    assert journals.drain(server.url).exit_code == 0


@pytest.mark.parametrize("page", [TOO_LARGE, BLOCKED], ids=["413", "403"])
def test_an_upload_that_is_kept_out_holds_no_later_session(
    journals: Recordings, server: ScriptedServer, page: Reply
) -> None:
    training = journals.begin()
    training.started()
    training.checkpoint(b"weights", "best")
    training.end("exited")
    resumed = journals.begin(run_id=training.run.id)
    resumed.started()
    resumed.epoch(1)
    resumed.complete()
    resumed.end()
    server.script = lambda request: page if request.method == "PUT" else received(request)
    drain_until(journals, server.url, lambda: [kind for kind, _ in left(journals)] == ["checkpoint"])
    server.script = received
    assert journals.drain(server.url).exit_code == 0
