"""A drain against everything that can be in the way: what is kept, what is given up, and when it tries again."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from queue import SimpleQueue

import pytest
from support.journals import IN_A_FILE, change, later, rows, until
from support.platform_api import Api
from support.recordings import KEY, Recordings, recordings
from support.scripted_server import (
    Reply,
    Request,
    Script,
    ScriptedServer,
    free_port,
    in_front_of,
    in_order,
    received,
    scripted_server,
)

from journal.checkpoints.blobs import Snapshot
from journal.clock import LONGEST_BACKOFF, from_text, to_text, utc_now
from journal.outbox.claims import Wanted
from uploader.delivery import outages
from uploader.delivery.timing import Timing
from uploader.run_folder.model_file import CHECKPOINTS
from uploader.server.running import running

ON_BOTH_ENGINES = True
TOO_BAD = Reply(422, {"error": "impossible"})
PATIENT = Timing(first_wait=1000.0)
"""What fails once is not worth waiting for: a drain that is to end some time ends."""
QUICK = Timing(first_wait=0.01)


def deliveries(journals: Recordings) -> dict[str, int]:
    return dict(rows(journals.journal.path, "SELECT state, count(*) FROM deliveries GROUP BY state"))


def answering(reply: Reply, *, event: str) -> Script:
    """Answer one kind of event in a way of its own."""

    def script(request: Request) -> Reply:
        is_it = request.method == "POST" and request.json().get("event") == event
        return reply if is_it else received(request)

    return script


# --- the host


def test_an_unreachable_host_is_probed_once_and_all_is_kept(journals: Recordings) -> None:
    for name in ("one", "two", "three"):
        journals.whole(name)
    summary = journals.drain(f"http://127.0.0.1:{free_port()}")
    assert summary.exit_code == 3
    [destination] = summary.destinations
    assert destination.state == "unreachable"
    assert destination.error is not None
    assert "Connection refused" in destination.error
    assert destination.next_attempt_at is not None
    assert rows(journals.journal.path, "SELECT count(*) FROM attempts") == [(1,)]
    assert set(deliveries(journals)) == {"pending"}
    assert rows(journals.journal.path, "SELECT max(attempts) FROM deliveries") == [(0,)]


def test_who_reconnects_does_not_wait(journals: Recordings) -> None:
    journals.whole()
    port = free_port()
    for _ in range(3):
        assert journals.drain(f"http://127.0.0.1:{port}").exit_code == 3
    with scripted_server(port=port) as server:
        assert journals.drain(server.url).exit_code == 0


def test_with_time_to_spare_a_host_that_comes_up_is_found(journals: Recordings) -> None:
    journals.whole()
    port = free_port()
    with journals.draining(f"http://127.0.0.1:{port}", max_time=60.0) as running, scripted_server(port=port):
        assert running.summary().exit_code == 0


def test_time_to_spare_ends(journals: Recordings, server: ScriptedServer) -> None:
    journals.whole()
    server.script = lambda _: Reply(500)
    # The first wait is worth waiting for, but longer than the time to spare.
    summary = journals.drain(server.url, max_time=9.0, timing=Timing(first_wait=20.0))
    assert summary.exit_code == 3
    assert rows(journals.journal.path, "SELECT count(*) FROM attempts") == [(1,)]


def test_one_request_goes_before_all_others(journals: Recordings, server: ScriptedServer) -> None:
    training = journals.begin()
    training.started()
    training.end()
    journals.drain(server.url)
    for number in range(20):
        training.epoch(number)
    first, second = threading.Event(), threading.Event()

    def script(request: Request) -> Reply:
        if not first.is_set():
            first.set()
            assert not second.wait(0.3)
        second.set()
        return received(request)

    server.script = script
    assert journals.drain(server.url).exit_code == 0
    assert len(server.bodies()) == 21


def test_what_broke_off_is_sent_again_under_the_same_key(journals: Recordings, server: ScriptedServer) -> None:
    journals.whole()
    server.script = in_order(Reply(reset=True), then=received)
    assert journals.drain(server.url, timing=QUICK).exit_code == 0
    first, second = [each for each in server.requests if each.method == "POST"][:2]
    assert first.body == second.body
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]


def test_a_silent_server_is_given_up_on(journals: Recordings, server: ScriptedServer) -> None:
    journals.whole()
    over, outlasted = threading.Event(), SimpleQueue[bool]()

    def script(request: Request) -> Reply:
        if len(server.requests) == 1:
            outlasted.put(over.wait(100))
        return received(request)

    server.script = script
    summary = journals.drain(server.url, timing=replace(PATIENT, answer=0.5))
    over.set()
    assert summary.exit_code == 3
    assert outlasted.get()
    assert rows(journals.journal.path, "SELECT max(attempts) FROM deliveries") == [(1,)]
    journals.end_pauses()
    assert journals.drain(server.url).exit_code == 0


# --- answers that say "later"


def test_a_passing_trouble_is_waited_for(journals: Recordings, server: ScriptedServer) -> None:
    journals.whole()
    server.script = in_order(Reply(500), Reply(200, b"<html>Sign in</html>"), then=received)
    assert journals.drain(server.url, timing=QUICK).exit_code == 0
    assert rows(journals.journal.path, "SELECT max(attempts) FROM deliveries") == [(3,)]


def test_a_long_wait_that_the_platform_asks_for_is_kept_across_drains(
    journals: Recordings, server: ScriptedServer
) -> None:
    journals.whole()
    server.script = lambda _: Reply(429, {}, {"Retry-After": "1000"})
    before, summary, after = utc_now(), journals.drain(server.url), utc_now()
    assert summary.exit_code == 3
    due = summary.destinations[0].next_attempt_at
    assert due is not None
    assert before + timedelta(seconds=999) < from_text(due) <= after + timedelta(seconds=1000)
    server.script = received
    assert journals.drain(server.url).exit_code == 3
    assert len(server.bodies()) == 1


def test_retry_after_holds_back_everything_for_that_host(journals: Recordings, server: ScriptedServer) -> None:
    for name in ("one", "two", "three"):
        journals.whole(name)
    server.script = lambda _: Reply(503, {}, {"Retry-After": "100"})
    assert journals.drain(server.url).exit_code == 3
    assert len(server.requests) == 1


def test_our_own_waits_end_with_the_next_drain(journals: Recordings, server: ScriptedServer) -> None:
    journals.whole()
    journals.drain(f"{server.url}", max_time=0.0)
    longest = to_text(later(LONGEST_BACKOFF.total_seconds() - 1))
    change(journals.journal.path, "UPDATE deliveries SET attempts = 9, next_attempt_at = ?", longest)
    assert journals.drain(server.url).exit_code == 0


# --- the key


def test_a_refused_key_keeps_everything(journals: Recordings, server: ScriptedServer) -> None:
    for name in ("one", "two", "three"):
        journals.whole(name)
    server.script = lambda _: Reply(401, {"error": "no"})
    summary = journals.drain(server.url)
    assert summary.exit_code == 5
    assert len(server.requests) == 1
    assert set(deliveries(journals)) == {"pending"}
    assert rows(journals.journal.path, "SELECT sum(attempts) FROM deliveries") == [(1,)]
    server.script = received
    assert journals.drain(server.url).exit_code == 0


@pytest.mark.once_on_postgres
@pytest.mark.parametrize("status", [401, 403])
def test_a_registration_that_was_taken_and_then_refused_is_not_made_again(
    journals: Recordings, tmp_path: Path, status: int
) -> None:
    """The platform makes the model, and something in front of it takes the answer away; no idempotency keys."""
    journals.whole()
    taken: list[Request] = []
    with running(tmp_path / "platform", api_key=KEY, idempotency=False) as platform, scripted_server() as front:

        def script(request: Request) -> Reply:
            reply = in_front_of(platform.url)(request)
            if b'"training_started"' in request.body and len(taken) < 2:
                taken.append(request)
                return Reply(status, {"error": "no"})
            return reply

        front.script = script
        codes = []
        for _ in range(3):
            codes.append(journals.drain(front.url).exit_code)
            journals.journal.retry()
        assert codes[-1] == 0
        assert len(Api(platform.url, KEY).get("/api/models/local/demo")["models"]) == 1


def test_the_model_of_another_run_is_no_answer(journals: Recordings, tmp_path: Path) -> None:
    """Something in front of the platform mixes answers up, as a cache does; each model keeps what is its own."""
    first: list[Reply] = []
    with running(tmp_path / "platform", api_key=KEY, idempotency=False) as platform, scripted_server() as front:

        def script(request: Request) -> Reply:
            reply = in_front_of(platform.url)(request)
            if b'"training_started"' not in request.body or len(first) == 2:
                return reply
            first.append(reply)
            return first[0]

        front.script = script
        journals.whole("one", epochs=2)
        assert journals.drain(front.url, api_key=KEY).exit_code == 0
        journals.whole("two", epochs=5)
        assert journals.drain(front.url, api_key=KEY).exit_code == 0
        models = Api(platform.url, KEY).get("/api/models/local/demo")["models"]
    assert {each["name"]: len(each["trainResults"]) for each in models} == {"one": 2, "two": 5}


def test_two_runs_at_once_are_not_given_one_model(journals: Recordings, server: ScriptedServer) -> None:
    journals.whole("one")
    journals.whole("two")
    same = Reply(body={"received": True, "modelId": "m-1", "runId": 7})
    server.script = answering(same, event="training_started")
    assert journals.drain(server.url, timing=PATIENT).exit_code == 3
    states = sorted(state for (state,) in rows(journals.journal.path, "SELECT state FROM targets"))
    assert states == ["new", "registered"]


def test_what_one_run_may_not_do_harms_no_other(journals: Recordings, server: ScriptedServer) -> None:
    def script(request: Request) -> Reply:
        return Reply(403, {"error": "no access"}) if b"other/secret" in request.body else received(request)

    server.script = script
    journals.whole("theirs", project="other/secret")
    journals.whole("ours")
    summary = journals.drain(server.url)
    assert summary.exit_code == 4
    assert [each["event"] for each in server.bodies("/metrics")].count("training_complete") == 1
    states = dict(rows(journals.journal.path, "SELECT name, state FROM targets JOIN runs ON id = run_id"))
    assert states == {"theirs": "blocked", "ours": "registered"}
    [(reason,)] = rows(journals.journal.path, "SELECT reason FROM dead_letters")
    assert "no access" in reason
    assert "other/secret" in reason


def test_a_message_that_may_not_be_sent_is_a_dead_letter_by_itself(
    journals: Recordings, server: ScriptedServer
) -> None:
    journals.whole()
    server.script = answering(Reply(403, {"error": "no"}), event="epoch_end")
    assert journals.drain(server.url).exit_code == 4
    assert deliveries(journals) == {"delivered": 6, "dead": 3}
    assert server.bodies("/metrics")[-1]["event"] == "training_complete"


def test_a_page_in_front_of_a_platform_decides_nothing(journals: Recordings, server: ScriptedServer) -> None:
    for name in ("one", "two"):
        journals.whole(name)
    page = Reply(404, b"<html><title>404 Not Found</title></html>")
    server.script = in_order(page, page, page)
    assert journals.drain(server.url, timing=QUICK).exit_code == 0
    assert set(deliveries(journals)) == {"delivered"}


def test_a_storage_that_forbids_a_file_holds_nothing_else_up(journals: Recordings, server: ScriptedServer) -> None:
    journals.whole()
    denied = Reply(403, b"<Error><Code>AccessDenied</Code></Error>")
    server.script = lambda request: denied if request.method == "PUT" else received(request)
    summary = journals.drain(server.url, timing=QUICK)
    assert summary.exit_code == 4
    assert server.bodies("/metrics")[-1]["event"] == "training_complete"
    assert "modelPath" not in server.bodies("/metrics")[-1]["data"]["results"]
    [(reason,)] = rows(journals.journal.path, "SELECT reason FROM dead_letters")
    assert "AccessDenied" in reason
    server.script = received
    journals.journal.retry()
    assert journals.drain(server.url).exit_code == 0


def test_without_a_key_nothing_is_sent(journals: Recordings, server: ScriptedServer) -> None:
    journals.whole()
    summary = journals.drain(server.url, api_key=None)
    assert summary.exit_code == 5
    error = summary.destinations[0].error
    assert error is not None
    assert "ULTRALYTICS_API_KEY" in error
    assert "settings.json" in error
    assert server.requests == []


def test_a_key_that_is_revoked_in_the_middle_stops_the_drain(journals: Recordings, server: ScriptedServer) -> None:
    training = journals.begin()
    training.started()
    for number in range(100):
        training.epoch(number)
    training.end()
    refused: list[Request] = []

    def script(request: Request) -> Reply:
        if request.json().get("event") == "training_started":
            return received(request)
        refused.append(request)
        if len(refused) > 1:
            until(lambda: deliveries(journals)["claimed"] == 1)  # what was claimed ahead was taken back
        return Reply(401)

    server.script = script
    assert journals.drain(server.url, parallel=1).exit_code == 5
    assert len(refused) <= 2
    assert set(deliveries(journals)) == {"delivered", "pending"}
    server.script = received
    assert journals.drain(server.url).exit_code == 0


# --- what the platform will never take


def test_a_dead_letter_harms_only_itself(journals: Recordings, server: ScriptedServer) -> None:
    journals.whole()

    def script(request: Request) -> Reply:
        is_second = request.method == "POST" and request.json().get("data", {}).get("epoch") == 1
        return TOO_BAD if is_second else received(request)

    server.script = script
    summary = journals.drain(server.url)
    assert summary.exit_code == 4
    assert deliveries(journals) == {"delivered": 8, "dead": 1}
    [(kind, reason)] = rows(journals.journal.path, "SELECT kind, reason FROM dead_letters")
    assert (kind, reason.endswith("answered 422: impossible")) == ("epoch_end", True)
    assert server.bodies()[-1]["event"] == "training_complete"


def test_a_deleted_model_stops_its_run_and_no_other(journals: Recordings, server: ScriptedServer) -> None:
    gone = journals.whole("gone", epochs=200)
    journals.whole("other")

    def script(request: Request) -> Reply:
        content = request.json() if request.method == "POST" else {}
        if content.get("name") == "gone":
            return Reply(body={"received": True, "modelId": "m-gone", "runId": 1})
        return Reply(404, {"error": "no model"}) if content.get("modelId") == "m-gone" else received(request)

    server.script = script
    summary = journals.drain(server.url, parallel=4)
    assert summary.exit_code == 4
    assert summary.destinations[0].blocked == 1
    refused = sum(body.get("modelId") == "m-gone" for body in server.bodies())
    assert refused < 40  # those that were claimed together, not 400
    reports = {run.id: run.targets[0] for run in journals.journal.report()}
    assert reports[gone.run.id].state == "blocked"
    assert "deleted" in str(reports[gone.run.id].reason)
    assert [it.pending for run_id, it in reports.items() if run_id != gone.run.id] == [0]


def test_a_run_that_cannot_be_registered_is_set_aside(journals: Recordings, server: ScriptedServer) -> None:
    journals.whole("bad")
    journals.whole("good")

    def script(request: Request) -> Reply:
        return TOO_BAD if request.method == "POST" and request.json().get("name") == "bad" else received(request)

    server.script = script
    summary = journals.drain(server.url)
    assert summary.exit_code == 4
    assert (summary.destinations[0].dead, summary.destinations[0].blocked) == (1, 1)
    assert [run.targets[0].state for run in journals.journal.report()] == ["blocked", "registered"]


def test_dead_letters_can_be_given_another_life(journals: Recordings, server: ScriptedServer) -> None:
    journals.whole()
    server.script = answering(TOO_BAD, event="training_started")
    assert journals.drain(server.url).exit_code == 4
    server.script = received
    assert journals.journal.retry().letters == 1
    assert journals.drain(server.url).exit_code == 0


def test_a_fault_of_our_own_harms_only_its_delivery(journals: Recordings, server: ScriptedServer) -> None:
    journals.whole()
    broken = "UPDATE events SET payload = ? WHERE kind = 'training_complete'"
    change(journals.journal.path, broken, '{"results": 1}')
    summary = journals.drain(server.url, timing=PATIENT)
    assert summary.exit_code == 3
    assert deliveries(journals) == {"delivered": 8, "pending": 1}


@pytest.mark.parametrize(
    ("reply", "expected", "kept"),
    [
        (Reply(422, b'{"error": "too bad \\ud83d"}'), 4, "SELECT reason FROM dead_letters"),
        (Reply(503, b'{"error": "too bad \\ud83d"}'), 3, "SELECT error FROM attempts"),
        (Reply(404, b'{"error": "too bad \\ud83d"}'), 4, "SELECT reason FROM targets"),
        (
            Reply(200, b'{"received": true, "cancelled": true, "reason": "bad \\ud83d"}'),
            0,
            "SELECT detail FROM signals",
        ),
    ],
    ids=lambda value: str(getattr(value, "status", "")),
)
def test_half_an_emoji_in_a_servers_words_stops_no_drain(
    journals: Recordings, server: ScriptedServer, reply: Reply, expected: int, kept: str
) -> None:
    journals.whole()
    server.script = answering(reply, event="training_complete")
    assert journals.drain(server.url, timing=PATIENT).exit_code == expected
    [(words,)] = rows(journals.journal.path, kept)
    assert "bad \\ud83d" in words


def test_a_refused_key_is_told_whatever_the_server_says(journals: Recordings, server: ScriptedServer) -> None:
    journals.whole()
    server.script = in_order(Reply(401, b'{"error": "no \\ud83d"}'))
    [destination] = journals.drain(server.url).destinations
    assert (destination.error or "").encode().endswith(b"no \\ud83d")


# --- checkpoints


def test_a_missing_checkpoint_is_a_dead_letter(journals: Recordings, server: ScriptedServer) -> None:
    sha256 = journals.whole().checkpoint(b"the last one", role="final")
    (journals.journal.path / "blobs" / sha256).unlink()
    summary = journals.drain(server.url)
    assert summary.exit_code == 4
    assert deliveries(journals) == {"delivered": 9, "dead": 1}
    [(number, reason)] = rows(journals.journal.path, "SELECT id, reason FROM dead_letters")
    assert f"retry {number}`" in reason


@IN_A_FILE
@pytest.mark.parametrize(("left", "retaken"), [(b"the last one", 1), (b"another one!", 0), (b"shorter", 0), (None, 0)])
def test_a_missing_checkpoint_is_taken_from_the_runs_folder_if_it_is_there(
    journals: Recordings, server: ScriptedServer, left: bytes | None, retaken: int
) -> None:
    training = journals.whole()
    blob = journals.journal.path / "blobs" / training.checkpoint(b"the last one", role="final")
    blob.unlink()
    assert journals.drain(server.url).exit_code == 4
    if left is not None:
        weights = Path(training.run.save_dir) / "weights"
        weights.mkdir(parents=True)
        (weights / "best.pt").write_bytes(left)
    assert (journals.journal.retake(CHECKPOINTS), journals.journal.retry().letters) == (retaken, 1)
    assert journals.drain(server.url).exit_code == (0 if retaken else 4)
    assert blob.exists() == bool(retaken)


@IN_A_FILE
def test_a_training_may_write_while_a_missing_checkpoint_is_copied(
    journals: Recordings, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = journals.whole()
    blob = journals.journal.path / "blobs" / training.checkpoint(b"the last one", role="final")
    blob.unlink()
    journals.drain(server.url)
    weights = Path(training.run.save_dir) / "weights"
    weights.mkdir(parents=True)
    (weights / "last.pt").write_bytes(b"the last one")
    with recordings(journals.journal.path, busy_seconds=0.1) as beside:
        snapshot = journals.journal.blobs.snapshot

        def copy(file: Path) -> Snapshot:
            beside.begin("other").epoch(0)
            return snapshot(file)

        monkeypatch.setattr(journals.journal.blobs, "snapshot", copy)
        [(number,)] = rows(journals.journal.path, "SELECT id FROM dead_letters")
        assert journals.journal.retake(CHECKPOINTS, [number + 1]) == 0
        assert journals.journal.retake(CHECKPOINTS, [number]) == 1
    assert sorted(path.name for path in blob.parent.iterdir() if path.name.startswith(".")) == []


def test_a_damaged_checkpoint_never_arrives(journals: Recordings, server: ScriptedServer) -> None:
    training = journals.begin()
    training.started()
    blob = journals.journal.path / "blobs" / training.checkpoint(b"x" * 100_000)
    blob.write_bytes(b"x" * 99_999 + b"y")
    training.end()
    assert journals.drain(server.url).exit_code == 4
    assert [each for each in server.requests if each.method == "PUT"] == []
    [(reason,)] = rows(journals.journal.path, "SELECT reason FROM dead_letters")
    assert "damaged" in reason


def test_a_missing_checkpoint_that_was_replaced_is_superseded(journals: Recordings, server: ScriptedServer) -> None:
    training = journals.begin()
    training.started()
    sha256 = training.checkpoint(b"old", role="best")
    training.end()
    newer = threading.Event()

    def uploads_planned() -> int:
        [(count,)] = rows(journals.journal.path, "SELECT count(*) FROM deliveries WHERE lane = 'upload'")
        return int(count)

    def script(request: Request) -> Reply:
        if request.method == "PUT" and not newer.is_set():
            newer.set()
            training.checkpoint(b"new", role="best", filename="newer.pt")
            (journals.journal.path / "blobs" / sha256).unlink(missing_ok=True)
            until(lambda: uploads_planned() == 2)  # too late to supersede what is under way
            return Reply(500, b"")
        return received(request)

    server.script = script
    assert journals.drain(server.url, timing=QUICK).exit_code == 0
    assert deliveries(journals) == {"delivered": 2, "superseded": 1}
    assert [each.body for each in server.requests if each.method == "PUT"] == [b"old", b"new"]


def test_a_limit_on_uploads_does_not_hold_up_what_is_recorded_meanwhile(
    journals: Recordings, server: ScriptedServer
) -> None:
    limited, measured = threading.Event(), threading.Event()

    def script(request: Request) -> Reply:
        if request.path.endswith("/upload"):
            limited.set()
            return Reply(429, {"error": "slow down"}, {"Retry-After": "600"})
        if request.method == "POST" and request.json()["event"] == "epoch_end":
            measured.set()
        return received(request)

    one = journals.begin("one")
    one.started()
    one.checkpoint(b"weights", role="final")
    one.end()
    server.script = script
    with journals.draining(server.url, watch=True) as running:
        assert limited.wait(60)
        two = journals.begin("two")
        two.started()
        two.epoch(0)
        assert measured.wait(60)
    [told] = running.summary().destinations
    assert "429: slow down" in str(told.error)
    waiting = rows(journals.journal.path, "SELECT lane, attempts FROM deliveries WHERE state = 'pending'")
    assert waiting == [("upload", 1)]


def test_a_storage_that_is_down_does_not_hold_up_metrics(journals: Recordings, server: ScriptedServer) -> None:
    training = journals.begin()
    training.started()
    training.checkpoint(b"weights", role="best")
    for number in range(30):
        training.epoch(number)
    training.end()

    def script(request: Request) -> Reply:
        if request.path.endswith("/upload"):
            return Reply(body={"uploadUrl": f"http://127.0.0.1:{free_port()}/x", "gcsPath": "x"})
        return received(request)

    server.script = script
    summary = journals.drain(server.url, timing=PATIENT)
    assert summary.exit_code == 3
    assert deliveries(journals) == {"delivered": 31, "pending": 1}
    assert "the storage of" in str(summary.destinations[0].error)


def test_an_upload_that_failed_goes_on_beside_the_messages(journals: Recordings, server: ScriptedServer) -> None:
    training = journals.begin()
    training.started()
    training.checkpoint(b"weights", role="final")
    for number in range(1000):
        training.epoch(number)
    training.end()
    answers, again, in_time = in_order(Reply(503), then=received), threading.Event(), []

    def script(request: Request) -> Reply:
        if request.path.endswith("/upload"):
            if (reply := answers(request)).status == 200:
                again.set()
            return reply
        if request.method == "POST" and request.json()["data"].get("epoch", 0) >= 900:
            in_time.append(again.wait(60))  # the last hundred messages come after it, however late it is
        return received(request)

    server.script = script
    assert journals.drain(server.url, timing=Timing(first_wait=0.001)).exit_code == 0
    assert (len(in_time), all(in_time)) == (100, True)
    assert len([each for each in server.requests if each.path.endswith("/upload")]) == 2
    assert deliveries(journals) == {"delivered": 1002}


# --- the journal


def test_a_journal_that_is_busy_for_a_while_does_no_harm(
    tmp_path: Path, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with recordings(tmp_path / "journal", busy_seconds=0.1) as journals:
        journals.whole()
        locked = threading.Event()

        def script(request: Request) -> Reply:
            if not locked.is_set():
                blocker.execute("BEGIN IMMEDIATE")
                locked.set()
            return received(request)

        options = {"isolation_level": None, "check_same_thread": False}
        with closing(sqlite3.connect(journals.journal.database, **options)) as blocker:
            server.script = script
            monkeypatch.setattr(outages._LOG, "warning", lambda *_: blocker.rollback())
            assert journals.drain(server.url).exit_code == 0
            assert locked.is_set()
    assert sorted(each["event"] for each in server.bodies("/metrics")).count("epoch_end") == 3


@IN_A_FILE
def test_events_that_were_written_beside_the_journal_are_taken_in(
    journals: Recordings, server: ScriptedServer, tmp_path: Path
) -> None:
    from journal.writing.fallback import FallbackFile

    training = journals.begin()
    training.epoch(0)
    beside = FallbackFile([tmp_path / "fallback"], journals.journal.path, training.run)
    beside.append("training_started", {"epochs": 1}, "1")
    beside.close()
    training.end()
    assert journals.drain(server.url).exit_code == 0
    assert [body["event"] for body in server.bodies()] == ["training_started", "epoch_end"]


def test_what_a_killed_drain_held_is_delivered(journals: Recordings, server: ScriptedServer) -> None:
    journals.whole()
    with closing(journals.journal.outbox()) as outbox:
        destination = outbox.routes.add_destination("ultralytics", server.url)
    journals.drain(server.url, max_time=0.0)
    with closing(journals.journal.outbox()) as outbox:
        options = {"owner": "killed", "lease_seconds": 3600.0, "now": utc_now()}
        outbox.claims.take(destination.id, Wanted("message", 9), **options)
    assert journals.drain(server.url).exit_code == 0
