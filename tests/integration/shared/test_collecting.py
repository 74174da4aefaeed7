"""A node's journal is brought into a shared one: whole, once, whoever does it and however often."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import count
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import text
from support.journals import Bench, bench, rows, until
from support.postgres_server import empty_journal

import journal
from journal.clock import utc_now
from journal.collecting import node_events
from journal.collecting.checkpoint_bytes import NodeBlobs
from journal.collecting.collecting import Collecting
from journal.errors import BlobsUnavailable
from journal.folder import Journal
from journal.mirror import segments
from journal.mirror.journal_reader import JournalReader
from journal.opening import open_shared
from journal.outbox.claims import Wanted
from journal.packs import contents
from journal.postgres.postgres_backend import PostgresBackend
from journal.records import LANES, Outcome, PlannedDelivery
from journal.retention import prunable
from journal.sessions.identity import ENTRY_FIELDS
from journal.writing import fallback_intake
from journal.writing.fallback_format import Header

_IDENTITIES = """
    SELECT s.uuid, e.seq, e.kind, e.key, e.payload, e.created_at FROM events e JOIN sessions s ON s.id = e.session_id
    WHERE s.purpose IS NULL ORDER BY s.uuid, e.seq
"""


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path / "node" / "journal") as opened:
        yield opened


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Journal]:
    with empty_journal() as url, open_shared(url) as opened:
        opened.shared_blobs.decide(str(tmp_path / "blobs"))
        yield opened


def there(outbox: Journal, query: str = _IDENTITIES, **values: Any) -> list[tuple[Any, ...]]:
    with outbox.begin(read_only=True) as connection:
        return [tuple(row) for row in connection.execute(text(query), values)]


def events_of(node: Bench) -> list[tuple[Any, ...]]:
    return rows(node.journal.path, _IDENTITIES)


def test_comes_in_whole_and_once(node: Bench, outbox: Journal) -> None:
    for epoch in range(7):
        node.event(payload={"epoch": epoch}, key=str(epoch))
    collecting = Collecting(node.journal, outbox)

    first = collecting.step()
    node.event(payload={"epoch": 7}, key="7")
    node.writer.end_session(node.session_id, "complete")
    further = collecting.step()
    by_another = Collecting(node.journal, outbox).step()

    assert (first.events, further.events, by_another.events) == (7, 1, 0)
    assert there(outbox) == events_of(node)
    assert there(outbox, "SELECT outcome FROM sessions") == [("complete",)]
    assert there(outbox, "SELECT platform FROM destinations") == [("ultralytics",)]


def test_a_run_without_events_is_there_too(node: Bench, outbox: Journal) -> None:
    Collecting(node.journal, outbox).step()
    assert there(outbox, "SELECT id FROM runs") == [(node.run.id,)]
    assert there(outbox, "SELECT ended_at FROM sessions") == [(None,)]


def test_an_idle_node_asks_the_server_nothing(node: Bench, outbox: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    node.event()
    collecting = Collecting(node.journal, outbox, clock=lambda: 0.0)
    collecting.step()
    monkeypatch.setattr(outbox, "on_one_connection", pytest.fail)
    assert collecting.step().events == 0


def test_drains_that_wait_hear_of_what_comes_in(node: Bench, outbox: Journal) -> None:
    changes = outbox.changes()
    changes.note()
    assert not changes.are_any()
    node.event()
    Collecting(node.journal, outbox).step()
    assert changes.are_any()
    changes.note()
    assert not changes.are_any()


def test_copies_and_many_collectors_at_once_double_nothing(
    node: Bench, outbox: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "MOST_EVENTS", 20)
    for epoch in range(200):
        node.event(payload={"epoch": epoch}, key=str(epoch))
    shutil.copytree(node.journal.path, tmp_path / "copy")
    begin = Barrier(4)

    def collect(folder: Path) -> int:
        with journal.open(folder) as opened:
            begin.wait()
            return Collecting(opened, outbox).step().events

    with ThreadPoolExecutor(4) as threads:
        brought = list(threads.map(collect, [node.journal.path, tmp_path / "copy"] * 2))

    assert sum(brought) == 200
    assert there(outbox) == events_of(node)


def test_how_far_sessions_are_never_goes_back_whoever_tells_it_last(
    node: Bench, outbox: Journal, tmp_path: Path
) -> None:
    shutil.copytree(node.journal.path, tmp_path / "copy")
    node.writer.heartbeat(node.session_id)
    node.writer.end_session(node.session_id, "complete")
    begin = Barrier(4)

    def collect(folder: Path) -> None:
        with journal.open(folder) as opened:
            begin.wait()
            Collecting(opened, outbox).step()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(collect, [node.journal.path, tmp_path / "copy"] * 2))
    with journal.open(tmp_path / "copy") as older:
        Collecting(older, outbox).step()

    told = "SELECT heartbeat_at, ended_at, outcome FROM sessions"
    assert there(outbox, told) == rows(node.journal.path, told)


def test_who_comes_second_waits_and_sees_what_the_first_has_brought(node: Bench, outbox: Journal) -> None:
    node.event()
    Collecting(node.journal, outbox).step()
    node.event()
    session, header = _session_of(node)
    with ThreadPoolExecutor(1) as thread:
        with outbox.begin(concurrent=True) as connection:
            [group] = node_events.groups(JournalReader(node.journal), session.id, newest=2, after=1)
            events = [dict(zip(ENTRY_FIELDS, entry, strict=True)) for entry in group]
            assert fallback_intake.add_whole(connection, "first", header, events) == 1
            second = thread.submit(Collecting(node.journal, outbox).step)
            until(lambda: there(outbox, "SELECT count(*) FROM pg_locks WHERE NOT granted") != [(0,)])
        assert second.result().events == 0
    assert there(outbox) == events_of(node)


def _session_of(node: Bench) -> tuple[Any, Header]:
    reader = JournalReader(node.journal)
    [session] = node_events.sessions(reader, None)
    return session, node_events.header(reader, session)


def test_what_two_copies_wrote_under_one_number_is_kept_twice(node: Bench, outbox: Journal, tmp_path: Path) -> None:
    node.event(payload={"epoch": 0})
    shutil.copytree(node.journal.path, tmp_path / "copy")
    node.event(payload={"epoch": 1, "of": "the node"})
    with journal.open(tmp_path / "copy") as copy, closing(copy.writer()) as writer:
        writer.append(node.run.id, node.session_id, "epoch_end", {"epoch": 1, "of": "its copy"})
        Collecting(node.journal, outbox).step()
        assert Collecting(copy, outbox).step().events == 1

    payloads = [payload for (payload,) in there(outbox, "SELECT payload FROM events ORDER BY seq")]
    assert len(payloads) == 3
    assert there(outbox, "SELECT count(*) FROM sessions WHERE purpose = 'twin'") == [(1,)]


def test_what_a_server_has_lost_comes_again(node: Bench, outbox: Journal) -> None:
    """It was restored, or replaced by one that was behind."""
    for _ in range(3):
        node.event()
    collecting = Collecting(node.journal, outbox)
    collecting.step()
    with outbox.begin() as connection:
        connection.execute(text("DELETE FROM events WHERE seq > 1"))
        connection.execute(text("DELETE FROM collected"))

    assert collecting.step(is_last=True).events == 2
    assert there(outbox) == events_of(node)


def test_events_that_come_late_with_lower_numbers_come_in(node: Bench, outbox: Journal) -> None:
    """They were in a fallback file meanwhile."""
    for _ in range(3):
        node.event()
    with node.journal.begin() as connection:
        [late] = connection.execute(text("SELECT * FROM events WHERE seq = 2")).mappings().all()
        connection.execute(text("DELETE FROM events WHERE seq = 2"))
    collecting = Collecting(node.journal, outbox)
    assert collecting.step().events == 2
    with node.journal.begin() as connection:
        insert = "INSERT INTO events (run_id, session_id, kind, key, payload, created_at, seq) VALUES (:run_id, "
        connection.execute(text(f"{insert}:session_id, :kind, :key, :payload, :created_at, :seq)"), dict(late))

    assert collecting.step().events == 1
    assert there(outbox) == events_of(node)


def test_a_pruned_run_does_not_come_back(node: Bench, outbox: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    node.event()
    Collecting(node.journal, outbox).step()
    with outbox.begin() as connection:
        connection.execute(text("DELETE FROM events"))
        connection.execute(text("DELETE FROM collected"))
        connection.execute(text("UPDATE targets SET stage = 2"))
        assert prunable.pruned(connection) == {node.run.id}

    collecting = Collecting(node.journal, outbox)
    assert collecting.step().events == 0
    node.event(payload={"epoch": 1})
    assert collecting.step().events == 1  # it goes on


def test_what_a_training_that_was_resumed_later_records_comes_in_though_its_run_was_pruned(
    node: Bench, outbox: Journal
) -> None:
    node.event("training_started")
    arrived = node.checkpoint(b"arrived", "final")
    node.writer.end_session(node.session_id, "complete")
    collecting = Collecting(node.journal, outbox, clock=lambda: 0.0)
    collecting.step()
    deliver_all(outbox, node)
    assert outbox.prune(utc_now() + timedelta(days=1), given_up=False).events == 2
    assert outbox.blobs.names() == []

    resumed = node.writer.start_session(node.run.id)
    node.writer.append(node.run.id, resumed, "training_started", {})
    for other in (collecting, Collecting(node.journal, outbox)):
        assert (other.step().checkpoints, outbox.blobs.names()) == (0, [])
    assert there(outbox, "SELECT kind FROM events ORDER BY id") == [("training_started",)]
    new = node.checkpoint(b"new", "final")
    node.writer.end_session(resumed, "complete")
    assert collecting.step().checkpoints == 1
    assert outbox.blobs.names() == [new] != [arrived]


def test_needed_checkpoints_come_before_their_events(
    node: Bench, outbox: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = node.checkpoint(b"old" * 100)
    new = node.checkpoint(b"new" * 100)
    best = node.checkpoint(b"best" * 100, "best")
    seen: list[tuple[int, int]] = []
    bring = Collecting._bring_session

    def watched(self: Collecting, *arguments: Any) -> int:
        seen.append(there(outbox, "SELECT (SELECT count(*) FROM blobs), (SELECT count(*) FROM events)")[0])
        return bring(self, *arguments)

    monkeypatch.setattr(Collecting, "_bring_session", watched)
    collected = Collecting(node.journal, outbox).step()

    assert seen == [(2, 0)]
    assert (collected.checkpoints, collected.missing) == (2, [])
    assert sorted(outbox.blobs.names()) == sorted({new, best} - {old})
    assert Collecting(node.journal, outbox).step().checkpoints == 0


def test_what_was_recorded_before_a_checkpoint_does_not_wait_for_its_bytes(
    node: Bench, outbox: Journal, tmp_path: Path
) -> None:
    node.event("training_started")
    node.event("epoch_end")
    node.checkpoint(b"old")  # the newest there, until the new one comes in; and its bytes nobody brings
    sha256 = node.checkpoint(b"new")
    node.event("epoch_end")
    (tmp_path / "blobs").rename(tmp_path / "away")
    collecting = Collecting(node.journal, outbox)
    node.writer.heartbeat(node.session_id)
    with pytest.raises(BlobsUnavailable):
        collecting.step()
    heard = rows(node.journal.path, "SELECT heartbeat_at FROM sessions")
    assert there(outbox, "SELECT heartbeat_at FROM sessions") == heard  # it is not silent
    assert [kind for (kind,) in there(outbox, "SELECT kind FROM events ORDER BY seq")] == [
        "training_started",
        "epoch_end",
    ]
    (tmp_path / "away").rename(tmp_path / "blobs")
    assert collecting.step().events == 3
    assert (there(outbox), outbox.blobs.names()) == (events_of(node), [sha256])


def test_one_that_a_newer_one_supersedes_while_bytes_are_brought_waits_for_that(
    node: Bench, outbox: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, there_before = node.checkpoint(b"old"), []
    get = NodeBlobs.get_file

    def save_first(*arguments: Any) -> bool:
        there_before.append(len(there(outbox)))
        if len(there_before) == 1:
            resumed = replace(node, session_id=node.writer.start_session(node.run.id))
            resumed.checkpoint(b"new")
            node.journal.blobs.remove(old)
        return get(*arguments)

    monkeypatch.setattr(NodeBlobs, "get_file", save_first)
    collected = Collecting(node.journal, outbox).step()
    assert (collected.events, collected.checkpoints, collected.missing) == (2, 1, [])
    assert (there(outbox), there_before) == (events_of(node), [0, 0])


def test_that_a_session_has_ended_is_told_when_all_that_it_recorded_is_there(
    node: Bench, outbox: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.register()  # so that the node has results to tell, which name its sessions
    node.event("training_started")
    node.checkpoint(b"final", "final")
    node.writer.end_session(node.session_id, "complete")
    (tmp_path / "blobs").rename(tmp_path / "away")
    collecting = Collecting(node.journal, outbox)
    ended = "SELECT ended_at IS NOT NULL FROM sessions ORDER BY id"
    for _ in range(2):  # the second time, there is a session that could have ended
        with pytest.raises(BlobsUnavailable):
            collecting.step()
        assert there(outbox, ended) == [(False,)]
    (tmp_path / "away").rename(tmp_path / "blobs")
    collecting.step()
    assert there(outbox, ended) == [(True,)]

    resumed = node.writer.start_session(node.run.id)
    look = node_events.sessions

    def end_first(*arguments: Any) -> Any:
        node.writer.append(node.run.id, resumed, "training_complete", {})
        node.writer.end_session(resumed, "complete")
        monkeypatch.undo()
        return look(*arguments)

    monkeypatch.setattr(node_events, "sessions", end_first)  # after it was looked up to which event to bring
    collecting = Collecting(node.journal, outbox)  # tells the results anew
    collecting.step()
    assert there(outbox, ended) == [(True,), (False,)]
    collecting.step()
    assert there(outbox, ended) == [(True,), (True,)]


def test_a_checkpoint_that_nobody_has_is_named(node: Bench, outbox: Journal) -> None:
    sha256 = node.checkpoint(b"bytes")
    node.journal.blobs.remove(sha256)
    collected = Collecting(node.journal, outbox).step()
    assert (collected.events, collected.missing) == (1, [sha256])


def test_what_has_arrived_is_told_to_the_node(node: Bench, outbox: Journal) -> None:
    node.event("training_started")
    sha256 = node.checkpoint(b"bytes", "final")
    collecting = Collecting(node.journal, outbox, clock=lambda: 0.0)
    collecting.step()
    deliver_all(outbox, node)

    assert collecting.step(is_last=True).learned == 1
    assert collecting.step(is_last=True).learned == 0

    assert rows(node.journal.path, "SELECT state, ids FROM targets") == [("registered", '{"modelId":"m-1"}')]
    assert node.states() == ["delivered", "delivered"]
    with node.journal.begin(read_only=True) as connection:
        assert contents.arrived(connection, [node.run.id]) == {(node.run.id, sha256)}
    assert there(outbox, "SELECT count(*) FROM deliveries") == [(2,)]


@pytest.mark.parametrize("given_up", [False, True])
def test_what_was_pruned_before_the_node_learned_of_it_has_arrived_unless_it_was_given_up(
    node: Bench, outbox: Journal, *, given_up: bool
) -> None:
    node.event("training_started")
    node.checkpoint(b"bytes", "final")
    node.writer.end_session(node.session_id, "complete")
    Collecting(node.journal, outbox).step()
    if given_up:
        with outbox.begin() as connection:
            connection.execute(text("UPDATE targets SET dropped_at = '2026-01-01T00:00:00.000Z'"))
    else:
        deliver_all(outbox, node)
    later = utc_now() + timedelta(days=1)
    assert outbox.prune(later, given_up=given_up).events == 2

    for _ in range(2):
        Collecting(node.journal, outbox).step(is_last=True)
        with node.journal.begin(read_only=True) as connection:
            assert prunable.pruned(connection) == set()  # all of it is here
        assert (node.journal.prunable(later) == [node.run.id]) is not given_up
    assert there(outbox, "SELECT kind FROM events") == []
    node.event("epoch_end")
    assert node.journal.prunable(later) == []


def test_what_the_node_has_delivered_itself_is_not_sent_again(node: Bench, outbox: Journal) -> None:
    node.event("training_started")
    node.checkpoint(b"bytes", "final")
    deliver_all(node.journal, node)

    collected = Collecting(node.journal, outbox).step()

    assert (collected.checkpoints, collected.refused) == (0, [])
    assert there(outbox, "SELECT state FROM deliveries") == [("delivered",), ("delivered",)]
    with closing(outbox.outbox()) as own:
        [target] = own.routes.targets(destination_id=own.routes.destinations()[0].id, run_ids=[node.run.id])
        assert (target.ids, own.backlogs.behind(target.destination.id, "registered")) == ({"modelId": "m-1"}, [])


def deliver_all(opened: Journal, node: Bench) -> None:
    """Deliver the registration and the checkpoint of the node's run from a journal."""
    with closing(opened.outbox()) as outbox, opened.begin(read_only=True) as connection:
        events = connection.execute(text("SELECT id, kind, payload FROM events ORDER BY seq")).all()
        [place] = outbox.routes.destinations()
        [target] = outbox.routes.targets(destination_id=place.id, run_ids=[node.run.id])
        planned = [
            PlannedDelivery(
                one.kind,
                "upload" if one.kind == "checkpoint" else "message",
                stage,
                one.id,
                one.id,
                "{}",
                json.loads(one.payload).get("sha256"),
                "final" if one.kind == "checkpoint" else None,
            )
            for stage, one in enumerate(events, 1)
        ]
        outbox.plans.write(target, planned, through=events[-1].id, stage=2)
        for lane in LANES:
            for claim in outbox.claims.take(
                place.id, Wanted(lane, limit=9), owner="test", lease_seconds=60.0, now=utc_now()
            ):
                outbox.settlement.record([Outcome(claim, "delivered", ids={"modelId": "m-1"})], now=utc_now())


def test_a_collector_that_is_killed_at_any_point_goes_on(
    node: Bench, outbox: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "MOST_EVENTS", 2)
    for epoch in range(4):
        node.event(payload={"epoch": epoch}, key=str(epoch))
    node.checkpoint(b"bytes", "final")
    folder, url = node.journal.path, outbox._backend.engine.url.render_as_string(hide_password=False)  # type: ignore[attr-defined]
    numbers = iter(count(1))

    while die_at(next(numbers), folder, url):
        whole = there(outbox, "SELECT count(*) - count(DISTINCT seq) FROM events")
        assert whole == [(0,)]

    assert next(numbers) > 8
    assert there(outbox) == events_of(node)
    assert Collecting(node.journal, outbox).step().events == 0


def die_at(number: int, folder: Path, url: str) -> bool:
    """Collect in a process that is killed in or after its nth transaction there; return whether it was."""
    child = os.fork()
    if child == 0:
        try:
            os.close(1), os.close(2)
            collect_until(number, folder, url)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def collect_until(number: int, folder: Path, url: str) -> None:
    points = iter(count(1))
    begin = PostgresBackend._transaction

    @contextmanager
    def killed(*arguments: Any, **options: Any) -> Iterator[Any]:
        with begin(*arguments, **options) as connection:
            yield connection
            die_if(next(points) == number)
        die_if(next(points) == number)

    with pytest.MonkeyPatch.context() as patch, journal.open(folder) as opened, open_shared(url) as shared:
        patch.setattr(PostgresBackend, "_transaction", killed)
        Collecting(opened, shared).step()
    os._exit(0)


def die_if(is_time: bool) -> None:
    if is_time:
        os.kill(os.getpid(), signal.SIGKILL)
