"""A drain of a real journal over real HTTP: what arrives, in which order, and what is kept of it."""

from __future__ import annotations

import json
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.journals import IN_A_FILE, rows
from support.recordings import KEY, Recordings
from support.scripted_server import Reply, Request, ScriptedServer, free_port, in_order, received, scripted_server
from support.settings import settings

from journal.reading.drain_at_work import last_drain
from journal.records import Claim
from uploader.delivery.fair_planning import FIRST_BATCH
from uploader.delivery.run_routing import route

ON_BOTH_ENGINES = True


def events(server: ScriptedServer) -> list[str]:
    return [body["event"] for body in server.bodies("/metrics")]


def states(journals: Recordings) -> dict[str, int]:
    return dict(rows(journals.journal.path, "SELECT state, count(*) FROM deliveries GROUP BY state"))


def test_a_whole_training_arrives_in_order(journals: Recordings, server: ScriptedServer) -> None:
    training = journals.whole()
    summary = journals.drain(server.url)
    assert summary.exit_code == 0
    arrived = events(server)
    assert arrived[0] == "training_started"
    assert arrived[-1] == "training_complete"
    assert sorted(arrived[1:-1]) == sorted(["console_output", "epoch_end"] * 3 + ["checkpoint_saved"])
    [put] = [each for each in server.requests if each.method == "PUT"]
    assert put.body == b"weights"
    complete = server.bodies()[-1]
    assert complete["data"]["results"] == {"bestEpoch": 0, "modelPath": "models/final.pt", "modelSize": 7}
    assert complete["data"]["runId"] == 7
    assert all(body["modelId"] == "m-1" for body in server.bodies()[1:])
    assert states(journals) == {"delivered": 9}
    [target] = journals.journal.report()[0].targets
    assert target.ids["modelId"] == "m-1"
    assert training.run.project == server.bodies()[0]["project"] == "demo"


@pytest.mark.parametrize("epochs", [FIRST_BATCH - 1, 3 * FIRST_BATCH])
def test_a_start_that_was_taken_in_last_is_found_behind_everything_else(
    journals: Recordings, server: ScriptedServer, epochs: int
) -> None:
    """As when the journal was locked for a moment as the training began, and the start went to a fallback file."""
    training = journals.begin()
    for number in range(epochs):
        training.epoch(number)
    training.complete()
    training.started()
    training.end()
    assert journals.drain(server.url).exit_code == 0
    assert events(server) == ["training_started", *["epoch_end"] * epochs, "training_complete"]


def test_a_second_drain_sends_nothing(journals: Recordings, server: ScriptedServer) -> None:
    journals.whole()
    journals.drain(server.url)
    sent = len(server.requests)
    summary = journals.drain(server.url)
    assert summary.exit_code == 0
    assert len(server.requests) == sent


def test_an_empty_journal_is_delivered(journals: Recordings, server: ScriptedServer) -> None:
    assert journals.drain(server.url).exit_code == 0
    assert server.requests == []


def test_metrics_do_not_wait_for_a_slow_checkpoint_but_completion_does(
    journals: Recordings, server: ScriptedServer
) -> None:
    journals.whole(epochs=5)
    all_metrics = threading.Event()
    seen: list[str] = []

    def script(request: Request) -> Reply:
        if request.method == "PUT":
            assert all_metrics.wait(100)
            seen.append("file")
        elif request.path.endswith("/metrics"):
            seen.append(request.json()["event"])
            if seen.count("epoch_end") == 5:
                all_metrics.set()
        return received(request)

    server.script = script
    assert journals.drain(server.url).exit_code == 0
    assert seen.index("file") > max(index for index, kind in enumerate(seen) if kind == "epoch_end")
    assert seen[-1] == "training_complete"
    assert "checkpoint_saved" in seen[seen.index("file") :]


def test_deliveries_of_a_run_go_in_parallel(journals: Recordings, server: ScriptedServer) -> None:
    training = journals.begin()
    training.started()
    for number in range(16):
        training.epoch(number)
    training.end()
    together = threading.Barrier(8)

    def script(request: Request) -> Reply:
        if request.json()["data"].get("epoch") in range(8):
            together.wait(100)  # passes only when eight are under way at once
        return received(request)

    server.script = script
    assert journals.drain(server.url, parallel=8).exit_code == 0
    assert sorted(body["data"]["epoch"] for body in server.bodies()[1:]) == list(range(16))
    assert len({each.connection for each in server.requests}) <= 8


def test_a_long_backlog_arrives_once_through_a_window(journals: Recordings, server: ScriptedServer) -> None:
    training = journals.begin()
    training.started()
    for number in range(1500):
        training.epoch(number)
    training.complete()
    training.end()
    assert journals.drain(server.url).exit_code == 0
    epochs = [body["data"]["epoch"] for body in server.bodies() if body["event"] == "epoch_end"]
    assert sorted(epochs) == list(range(1500))
    assert events(server)[-1] == "training_complete"


def test_console_text_is_joined(journals: Recordings, server: ScriptedServer) -> None:
    training = journals.begin()
    training.started()
    for number in range(10):
        training.console(number)
    training.end()
    journals.drain(server.url)
    [body] = server.bodies()[1:]
    assert body["data"]["content"].split("\n") == [f"line {number}" for number in range(10)]
    assert body["data"]["lineCount"] == 10


def test_a_resumed_run_is_one_model(journals: Recordings, server: ScriptedServer) -> None:
    first = journals.begin()
    first.started()
    first.epoch(0)
    first.end("crashed")
    journals.drain(server.url)
    second = journals.begin(run_id=first.run.id)
    second.started()
    second.epoch(1)
    second.complete()
    second.end()
    assert journals.drain(server.url).exit_code == 0
    assert events(server) == ["training_started", "epoch_end", "training_started", "epoch_end", "training_complete"]
    assert server.bodies()[2]["modelId"] == "m-1"


def test_both_sessions_at_once_are_in_order_too(journals: Recordings, server: ScriptedServer) -> None:
    first = journals.whole(epochs=1)
    second = journals.begin(run_id=first.run.id)
    second.started()
    second.epoch(1)
    second.end()
    assert journals.drain(server.url).exit_code == 0
    order = events(server)
    assert order.index("training_complete") < order.index("training_started", 1)
    assert order[-2:] == ["training_started", "epoch_end"]


def test_a_run_without_a_project_goes_under_the_default_one(journals: Recordings, server: ScriptedServer) -> None:
    journals.whole(project=None)
    journals.drain(server.url, project="somewhere")
    assert server.bodies()[0]["project"] == "somewhere"


def test_cancellation_there_is_a_signal_here(journals: Recordings, server: ScriptedServer) -> None:
    training = journals.whole()
    cancelled = {"received": True, "cancelled": True, "reason": "by hand"}

    def script(request: Request) -> Reply:
        is_epoch = request.method == "POST" and request.json().get("event") == "epoch_end"
        return Reply(body=cancelled) if is_epoch else received(request)

    server.script = script
    assert journals.drain(server.url).exit_code == 0
    [signal] = training.writer.signals(training.run.id)
    assert (signal.kind, signal.detail) == ("cancelled", "by hand")


def test_a_server_without_ids_gets_everything(journals: Recordings, server: ScriptedServer) -> None:
    journals.whole()

    def script(request: Request) -> Reply:
        reply = received(request)
        return Reply(body={"received": True}) if request.path.endswith("/metrics") else reply

    server.script = script
    assert journals.drain(server.url).exit_code == 0
    assert all((body["project"], body["name"]) == ("demo", "train") for body in server.bodies())


# --- which runs, and where to


def test_only_the_chosen_run_is_delivered(journals: Recordings, server: ScriptedServer) -> None:
    journals.whole("one")
    chosen = journals.whole("two")
    assert journals.drain(server.url, runs=(chosen.run.id[:8],)).exit_code == 0
    assert {body["name"] for body in server.bodies() if body.get("event") == "training_started"} == {"two"}
    assert journals.drain(server.url).exit_code == 0
    assert events(server).count("training_started") == 2


def test_a_second_destination_gets_the_same_events(journals: Recordings, server: ScriptedServer) -> None:
    journals.whole()
    with scripted_server() as other:
        journals.drain(server.url)
        summary = journals.drain(server.url, to=other.url)
        assert summary.exit_code == 0
        assert sorted(events(other)) == sorted(events(server))
        keys = [{each.headers.get("idempotency-key") for each in it.requests} - {None} for it in (server, other)]
        assert not keys[0] & keys[1]


@pytest.mark.parametrize("platform", ["ultralytics", "hub"])
def test_a_run_that_chose_nothing_goes_to_the_default_as_well_as_where_it_is_sent_first(
    journals: Recordings, server: ScriptedServer, platform: str
) -> None:
    journals.whole()
    with scripted_server(lambda _: Reply(401, {"error": "key"})) as other:
        journals.drain(server.url, to=other.url, platform=platform)
        assert other.requests
    assert events(server).count("training_complete") == 1


def test_a_key_alone_is_no_default_for_a_run_that_is_sent_somewhere(
    journals: Recordings,
) -> None:
    journals.whole()
    with closing(journals.journal.outbox()) as outbox:
        route(outbox, None, to=("ultralytics", "http://127.0.0.1:9"), settings=settings(KEY))
    assert [target.base_url for target in journals.journal.report()[0].targets] == ["http://127.0.0.1:9"]


def test_one_unreachable_destination_does_not_hold_up_the_other(journals: Recordings, server: ScriptedServer) -> None:
    training = journals.whole()
    away = f"http://127.0.0.1:{free_port()}"
    training.writer.route(training.run.id, "ultralytics", away)
    summary = journals.drain(away, to=server.url)
    assert summary.exit_code == 3
    assert {one.url: one.state for one in summary.destinations} == {away: "unreachable", server.url: "up to date"}


def test_a_platform_of_a_later_version_is_kept(journals: Recordings, server: ScriptedServer) -> None:
    training = journals.whole()
    training.writer.route(training.run.id, "elsewhere", server.url)
    summary = journals.drain(server.url)
    assert summary.exit_code == 3
    assert summary.destinations[0].error == "this version cannot deliver to a platform of the kind 'elsewhere'"
    assert server.requests == []


# --- what is kept


def test_no_secret_is_kept(journals: Recordings, server: ScriptedServer, tmp_path: Path) -> None:
    journals.whole()
    server.script = in_order(Reply(503, {"error": f"key {KEY} at http://s/?signature=s3cret is busy"}), then=received)
    assert journals.drain(server.url).exit_code == 0
    for file in (each for each in tmp_path.rglob("*") if each.is_file()):
        content = file.read_bytes()
        assert KEY.encode() not in content, file
        assert b"s3cret" not in content, file


def test_receipts_say_what_the_platform_answered(journals: Recordings, server: ScriptedServer) -> None:
    sha256 = journals.whole().checkpoint(b"more", role="best")
    journals.drain(server.url)
    receipts = dict(
        rows(journals.journal.path, "SELECT kind, receipt FROM deliveries WHERE receipt IS NOT NULL ORDER BY id")
    )
    assert json.loads(receipts["training_started"])["modelId"] == "m-1"
    assert json.loads(receipts["checkpoint"])["sha256"] == sha256


@pytest.mark.parametrize("size", [0, 1, 3_000_000])
def test_checkpoints_of_any_size_arrive(journals: Recordings, server: ScriptedServer, size: int) -> None:
    content = bytes(size)
    journals.whole(content=content)
    assert journals.drain(server.url).exit_code == 0
    assert [each.body for each in server.requests if each.method == "PUT"] == [content]


@IN_A_FILE  # a shared journal's drains tell in its table
def test_progress_hears_of_deliveries_and_bytes(
    journals: Recordings, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from contextlib import closing, contextmanager

    from uploader.delivery import progress_telling
    from uploader.delivery.drain import Drain
    from uploader.delivery.drain_options import DrainOptions

    class Listener:
        def __init__(self) -> None:
            self.deliveries = 0
            self.arrivals: list[str] = []
            self.uploads: dict[str, list[int]] = {}
            self.totals: list[int] = []
            self.told: list[int] = []
            self.closed = False

        def expect(self, deliveries: int) -> None:
            """What others are told through the journal's folder is the same."""
            found = last_drain(journals.journal.path)
            assert found is not None
            assert found.progress is not None
            assert found.progress.left == deliveries
            self.totals.append(found.progress.delivered + deliveries)
            self.told.append(found.progress.left_bytes)

        def settled(self, deliveries: int) -> None:
            self.deliveries += deliveries

        def arrived(self, claim: Claim) -> None:
            self.arrivals.append(claim.kind)

        @contextmanager
        def upload(self, name: str, size: int) -> Any:
            heard = self.uploads.setdefault(f"{name} {size}", [])
            yield heard.append

        def close(self) -> None:
            self.closed = True

    monkeypatch.setattr(progress_telling, "EVERY_SECONDS", 0.0)
    journals.whole(content=b"x" * 100_000)
    listener = Listener()
    with closing(journals.journal.outbox()) as outbox:
        Drain(journals.journal, outbox, settings(KEY, server.url), DrainOptions(), progress=listener).run()
    assert listener.deliveries == len(listener.arrivals) == 9
    assert list(listener.uploads) == ["train/final.pt 100000"]
    assert listener.uploads["train/final.pt 100000"][-1] == 100_000
    assert {*listener.totals} == {9}
    assert max(listener.told) > 100_000
    assert listener.closed
