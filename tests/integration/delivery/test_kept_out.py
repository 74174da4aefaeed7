"""Pages that something in between answers: for one delivery, again and again, or for all of them for a while."""

from __future__ import annotations

import pytest
from support.journals import rows
from support.recordings import Recordings
from support.scripted_server import Reply, Request, Script, ScriptedServer, received

from journal.outbox.kept_out import PAGES
from uploader.delivery.timing import Timing

QUICK = Timing(first_wait=0.01)
TOO_LARGE = Reply(413, b"<html><title>413 Request Entity Too Large</title></html>", {"Content-Type": "text/html"})
BLOCKED = Reply(403, b"<html><title>Request blocked</title></html>", {"Content-Type": "text/html"})


def keeping_out(part: bytes, page: Reply) -> Script:
    return lambda request: page if part in request.body else received(request)


def retry(journals: Recordings) -> None:
    journals.journal.retry()


def states(journals: Recordings) -> dict[str, str]:
    return dict(rows(journals.journal.path, "SELECT kind, state FROM deliveries"))


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
    for _ in range(5):
        assert journals.drain(server.url, timing=QUICK, max_time=0.6).exit_code == 3
    tried = rows(journals.journal.path, "SELECT attempts FROM deliveries WHERE state <> 'delivered' ORDER BY id")
    kept_out, milestone = tried[:2]
    assert milestone >= (1,)  # it was tried as well
    assert kept_out > (PAGES,)
    server.script = received
    assert journals.drain(server.url).exit_code == 0


def test_an_upload_that_is_kept_out_waits_and_holds_no_end(journals: Recordings, server: ScriptedServer) -> None:
    """Other uploads would show whether its pages are for it alone; messages go elsewhere."""
    journals.whole()

    def script(request: Request) -> Reply:
        return BLOCKED if request.method == "PUT" else received(request)

    server.script = script
    journals.drain(server.url, timing=QUICK, max_time=3.0)
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
    journals.drain(server.url, timing=QUICK, max_time=3.0)
    waiting = rows(journals.journal.path, "SELECT kind FROM deliveries WHERE state <> 'delivered'")
    assert waiting == [("checkpoint",)]
    server.script = received
    assert journals.drain(server.url).exit_code == 0
