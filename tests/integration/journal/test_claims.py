"""Claims: what is due, to whom, for how long, and what becomes of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.journals import IN_A_FILE, URL, Bench, Engine, backlog, bench, dead_pid, finish, later, python, rows

from journal.clock import from_text, to_text, utc_now
from journal.errors import JournalError, StaleClaim, UnknownRow
from journal.outbox.fairness import PATIENCE
from journal.outbox.redelivery import Retried
from journal.records import Claim, Outcome

ON_BOTH_ENGINES = True
SHA = "0" * 64


@pytest.fixture
def registered(at: Bench) -> Bench:
    """A run that the destination knows already."""
    at.register()
    return at


@pytest.fixture
def over(tmp_path: Path, engine: Engine) -> Iterator[Bench]:
    """A registered run whose session's process is gone."""
    with bench(tmp_path / "over" / "journal", engine, pid=dead_pid()) as opened:
        opened.register()
        yield opened


def kinds(claims: list[Claim]) -> list[str]:
    return [claim.kind for claim in claims]


def add_upload(at: Bench, role: str = "last", stage: int = 2) -> None:
    at.event("checkpoint", {"publish": True, "sha256": SHA}, role)
    at.plan(at.upload(SHA, role, stage))


# --- order


def test_only_the_registration_of_a_new_run_is_due(at: Bench) -> None:
    at.plan(at.message("epoch_end", 0), at.message("training_started", 1), at.message("epoch_end", 2))
    assert kinds(at.claim()) == ["training_started"]
    assert at.claim() == []


def test_one_registration_at_a_time(at: Bench) -> None:
    at.plan(at.message("training_started", 1), at.message("training_started", 3))
    (first,) = at.claim()
    assert at.claim() == []
    at.record(Outcome(first, "delivered", ids={"modelId": "m"}))
    (second,) = at.claim()
    assert dict(second.ids) == {"modelId": "m"}


def namesake(at: Bench, name: str = "run", project: str | None = "demo") -> Bench:
    """Return another run of the journal, which began after the others and is to be registered."""
    run = at.writer.start_run(project=project, name=name, save_dir=f"/{name}")
    at.writer.route(run.id, at.destination.platform, at.destination.base_url)
    other = replace(at, run=run, session_id=at.writer.start_session(run.id))
    other.plan(other.message("training_started"))
    return other


def test_runs_of_one_name_are_registered_in_the_order_in_which_they_began(at: Bench) -> None:
    second, third = namesake(at), namesake(at)
    at.plan(at.message("training_started"))  # planned last
    for one in (at, second, third):
        (claim,) = at.claim()
        assert claim.run.id == one.run.id
        assert at.claim() == []
        at.record(Outcome(claim, "delivered", ids={"modelId": "m"}))


@pytest.mark.parametrize(("name", "project"), [("other", "demo"), ("run", "other"), ("run", None)])
def test_a_run_of_another_name_waits_for_none(at: Bench, name: str, project: str | None) -> None:
    namesake(at, name, project)
    at.plan(at.message("training_started"))
    assert len(at.claim()) == 2


def test_a_run_waits_for_none_that_never_registers(at: Bench) -> None:
    """Without a start, refused, not chosen, or answered with failures only."""
    at.event("usage")
    second = namesake(at)
    (claim,) = at.claim()
    at.record(Outcome(claim, "dead", error="no", block="no"))
    assert second.target().state == "blocked"
    third, fourth = namesake(at), namesake(at)
    (claim,) = at.claim(run_ids=[fourth.run.id])
    at.record(Outcome(claim, "delivered", ids={"modelId": "m"}))
    fifth = namesake(at)
    for _ in range(PATIENCE):
        (claim,) = at.claim(limit=1)
        assert claim.run.id == third.run.id
        at.record(Outcome(claim, "retry", error="busy", next_attempt_at=to_text(utc_now())))
    assert {claim.run.id for claim in at.claim()} == {third.run.id, fifth.run.id}


@pytest.mark.parametrize("ids", [{"modelId": "m-1", "runId": 7}, {}])
def test_a_registered_run_sends_the_rest(at: Bench, ids: dict[str, object]) -> None:
    at.plan(at.message("training_started", 1), at.message("epoch_end", 2), at.message("console_output", 2))
    (registration,) = at.claim()
    at.record(Outcome(registration, "delivered", ids=ids))
    claims = at.claim()
    assert kinds(claims) == ["epoch_end", "console_output"]
    assert [dict(claim.ids) for claim in claims] == [ids, ids]
    assert at.target().state == "registered"


@pytest.mark.parametrize(("result", "passes"), [("delivered", True), ("dead", True), ("superseded", True)])
def test_a_stage_waits_until_the_lower_one_is_settled(registered: Bench, result: str, passes: bool) -> None:
    registered.plan(registered.message(stage=2), registered.message("training_complete", 3))
    (epoch,) = registered.claim()
    assert registered.claim() == []
    registered.record(Outcome(epoch, "retry", error="busy", next_attempt_at=to_text(utc_now())))
    (epoch,) = registered.claim()
    registered.record(Outcome(epoch, result))  # type: ignore[arg-type]
    assert kinds(registered.claim()) == ["training_complete"]


def test_the_end_waits_for_uploads_too(registered: Bench) -> None:
    add_upload(registered, "final")
    registered.plan(registered.message("training_complete", 3))
    assert registered.claim() == []
    (upload,) = registered.claim("upload")
    registered.record(Outcome(upload, "delivered"))
    assert kinds(registered.claim()) == ["training_complete"]


def test_runs_do_not_wait_for_each_other(at: Bench) -> None:
    at.plan(at.message("training_started", 1))
    other = at.writer.start_run(project=None, name="other", save_dir="/other")
    neighbour = replace(at, run=other, session_id=at.writer.start_session(other.id))
    at.outbox.routes.add(other.id, at.destination.id)
    neighbour.register()
    neighbour.plan(neighbour.message(stage=2))
    assert kinds(neighbour.claim(run_ids=[other.id])) == ["epoch_end"]
    assert kinds(at.claim()) == ["training_started"]


def test_destinations_do_not_wait_for_each_other(registered: Bench) -> None:
    second = registered.outbox.routes.add_destination("ultralytics", "https://second.example/")
    assert second.base_url == "https://second.example"
    registered.outbox.routes.add(registered.run.id, second.id)
    there = replace(registered, destination=second)
    there.plan(there.message("training_started", 1), there.message(stage=2))
    registered.plan(registered.message(stage=2))
    assert kinds(registered.claim()) == ["epoch_end"]
    assert kinds(there.claim()) == ["training_started"]


def test_a_blocked_run_sends_nothing_until_it_is_retried(registered: Bench) -> None:
    registered.plan(registered.message(stage=2), registered.message(stage=2))
    gone, _ = registered.claim()
    registered.record(Outcome(gone, "dead", error="404", block="deleted there"))
    registered.outbox.claims.take_over(utc_now())
    assert registered.target().reason == "deleted there"
    assert registered.claim() == []
    assert registered.next_due("message") is None
    assert registered.journal.retry().letters == 1
    assert registered.target().state == "registered"
    assert len(registered.claim()) == 2


def test_a_run_whose_registration_was_refused_is_new_again_when_retried(at: Bench) -> None:
    at.plan(at.message("training_started"))
    (claim,) = at.claim()
    at.record(Outcome(claim, "dead", error="422", block="422"))
    at.journal.retry([claim.delivery_id])
    assert at.target().state == "new"
    assert kinds(at.claim()) == ["training_started"]


def test_a_server_without_ids_knows_a_retried_run_all_the_same(at: Bench) -> None:
    at.plan(at.message("training_started", 1), at.message(stage=2))
    (registration,) = at.claim()
    at.record(Outcome(registration, "delivered", ids={}))
    (epoch,) = at.claim()
    at.record(Outcome(epoch, "dead", error="404", block="gone"))
    at.journal.retry()
    assert kinds(at.claim()) == ["epoch_end"]


def test_a_blocked_run_goes_on_when_its_last_dead_letter_is_dropped(registered: Bench) -> None:
    registered.plan(registered.message(stage=2), registered.message(stage=2))
    one, other = registered.claim()
    registered.record(
        Outcome(one, "dead", error="404", block="gone"), Outcome(other, "dead", error="404", block="gone")
    )
    registered.journal.drop([one.delivery_id])
    assert registered.target().state == "blocked"
    registered.journal.drop([other.delivery_id])
    assert (registered.target().state, registered.target().reason) == ("registered", None)


def test_a_run_that_was_never_registered_stays_blocked_without_dead_letters_until_all_is_retried(at: Bench) -> None:
    at.plan(at.message("training_started"))
    (claim,) = at.claim()
    at.record(Outcome(claim, "dead", error="422", block="422"))
    at.journal.drop([claim.delivery_id])
    assert at.target().state == "blocked"
    assert at.journal.retry() == Retried(letters=0, replaced=0, runs=1)
    assert at.target().state == "new"


# --- time, leases and fences


def test_a_claim_is_ours_until_its_lease_runs_out(registered: Bench) -> None:
    registered.plan(registered.message(stage=2))
    now = utc_now()
    (ours,) = registered.claim(owner="first", lease_seconds=60, now=now)
    assert registered.claim(owner="second", now=now + timedelta(seconds=59)) == []
    (theirs,) = registered.claim(owner="second", now=now + timedelta(seconds=61))
    assert (theirs.delivery_id, theirs.chunk_id) == (ours.delivery_id, ours.chunk_id)
    assert (theirs.fence, theirs.attempt) == (ours.fence + 1, ours.attempt + 1)


@pytest.mark.parametrize("result", ["delivered", "retry", "release", "dead", "superseded"])
def test_what_an_overtaken_owner_reports_changes_nothing(registered: Bench, result: str) -> None:
    registered.plan(registered.message(stage=2))
    (ours,) = registered.claim(lease_seconds=1)
    (theirs,) = registered.claim(owner="second", now=later(5))
    before = rows(registered.journal.path, "SELECT * FROM deliveries")
    late = Outcome(ours, result, receipt={"a": 1}, ids={"modelId": "x"}, error="e", block="b", signals=(("c", "d"),))  # type: ignore[arg-type]
    assert registered.record(late) == [late]
    assert rows(registered.journal.path, "SELECT * FROM deliveries") == before
    assert rows(registered.journal.path, "SELECT count(*) FROM attempts") == [(0,)]
    assert rows(registered.journal.path, "SELECT count(*) FROM signals") == [(0,)]
    assert registered.target().state == "registered"
    assert dict(registered.target().ids) == {"modelId": "m-1"}
    assert registered.record(Outcome(theirs, "delivered")) == []


def test_only_the_overtaken_part_of_a_batch_is_refused(registered: Bench) -> None:
    registered.plan(registered.message(stage=2), registered.message(stage=2))
    slow, quick = registered.claim(lease_seconds=1)
    registered.claim(owner="second", now=later(5), limit=1)
    outcomes = [Outcome(slow, "delivered"), Outcome(quick, "delivered")]
    assert registered.outbox.settlement.record(outcomes, now=utc_now()) == outcomes[:1]
    assert registered.states()[1:] == ["claimed", "delivered"]


def test_a_settled_delivery_cannot_be_settled_again(registered: Bench) -> None:
    registered.plan(registered.message(stage=2))
    (claim,) = registered.claim()
    registered.record(Outcome(claim, "delivered"))
    again = Outcome(claim, "retry")
    assert registered.record(again) == [again]
    assert registered.states()[-1] == "delivered"


@pytest.mark.parametrize("result", ["delivered", "dead", "retry"])
def test_what_was_written_and_not_answered_is_no_claim_of_anothers(registered: Bench, result: str) -> None:
    registered.plan(registered.message())
    outcome = Outcome(*registered.claim(), result)  # type: ignore[arg-type]
    assert registered.record(outcome) == []
    assert registered.record(outcome) == []


def test_a_renewed_lease_holds_longer_and_an_overtaken_one_is_not_renewed(registered: Bench) -> None:
    registered.plan(registered.message(stage=2))
    now = utc_now()

    def at(seconds: float) -> datetime:
        return now + timedelta(seconds=seconds)

    (ours,) = registered.claim(lease_seconds=60, now=now)
    registered.outbox.claims.renew([ours], lease_seconds=60, now=at(50))
    assert registered.claim(owner="second", now=at(100)) == []
    (theirs,) = registered.claim(owner="second", lease_seconds=60, now=at(111))
    registered.outbox.claims.renew([ours], lease_seconds=9999, now=at(112))
    assert registered.claim(owner="third", now=at(180))[0].fence == theirs.fence + 1


def test_a_retry_waits_for_its_time_and_a_release_does_not_count(registered: Bench) -> None:
    registered.plan(registered.message(stage=2))
    (claim,) = registered.claim()
    registered.record(Outcome(claim, "release", error="offline"))
    (claim,) = registered.claim()
    assert claim.attempt == 1
    at = later(30)
    registered.record(Outcome(claim, "retry", error="503", next_attempt_at=to_text(at)))
    assert registered.claim(now=at - timedelta(seconds=1)) == []
    assert registered.next_due("message") == from_text(to_text(at))
    (claim,) = registered.claim(now=at)
    assert claim.attempt == 2
    tried = rows(registered.journal.path, "SELECT number, result, error FROM attempts ORDER BY id")
    assert tried == [(1, "release", "offline"), (1, "retry", "503")]


def test_making_due_leaves_alone_what_the_platform_asked_to_wait(registered: Bench) -> None:
    registered.plan(registered.message(stage=2), registered.message(stage=2))
    backing_off, held = registered.claim()
    hour = to_text(later(3600))
    registered.record(Outcome(backing_off, "retry", error="503", next_attempt_at=hour))
    registered.record(Outcome(held, "retry", error="429", next_attempt_at=hour, held=True))
    assert registered.outbox.claims.take_over(utc_now()) == 1
    assert [claim.delivery_id for claim in registered.claim()] == [backing_off.delivery_id]


def test_a_clock_that_was_set_back_holds_nothing_up(registered: Bench) -> None:
    registered.plan(registered.message(stage=2), registered.message(stage=2))
    registered.record(Outcome(registered.claim(limit=1)[0], "retry", next_attempt_at=to_text(later(60)), held=True))
    a_year_ago = later(-365 * 86400)
    assert len(registered.claim(now=a_year_ago)) == 2


@IN_A_FILE
def test_order_is_that_of_the_ids_whatever_the_clock_said(at: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    first = at.event(key="first")
    monkeypatch.setattr("journal.writing.writer.now_text", lambda: to_text(later(-365 * 86400)))
    second = at.event(key="second")
    assert [event.id for event in backlog(at.outbox, at.run.id, after=0, limit=10).events] == [first, second]


def test_releasing_all_frees_what_a_killed_drain_held(registered: Bench) -> None:
    registered.plan(registered.message(stage=2))
    (ours,) = registered.claim(lease_seconds=9999)
    assert registered.outbox.claims.take_over(utc_now()) == 1
    (again,) = registered.claim(owner="second")
    assert again.fence == ours.fence + 1
    assert len(registered.record(Outcome(ours, "delivered"))) == 1


def test_what_nobody_renews_is_due_and_of_a_blocked_run_it_is_nothing_to_wait_for(registered: Bench) -> None:
    registered.plan(registered.message(stage=2), registered.message(stage=2))
    _, refused = registered.claim(lease_seconds=60)
    asked: dict[str, Any] = {"owner": "second", "lease_seconds": 60}
    held = partial(registered.outbox.claims.held_elsewhere, registered.destination.id, **asked)
    assert [one.number for one in held(now=utc_now())] == [2]
    assert registered.next_due() is None

    assert registered.next_due(now=later(61)) is not None
    assert held(now=later(61)) == []

    registered.record(Outcome(refused, "dead", error="404", block="deleted there"))
    assert [one.number for one in held(now=utc_now())] == [1]
    assert registered.next_due(now=later(61)) is None
    assert held(now=later(61)) == []


def test_beginning_beside_others_changes_nothing(registered: Bench) -> None:
    registered.plan(registered.message(stage=2), registered.message(stage=2))
    backing_off, _ = registered.claim()
    registered.record(Outcome(backing_off, "retry", error="503", next_attempt_at=to_text(later(60))))
    before = rows(registered.journal.path, "SELECT * FROM deliveries ORDER BY id")
    assert registered.outbox.claims.take_over(utc_now(), is_alone=False) == 0
    assert rows(registered.journal.path, "SELECT * FROM deliveries ORDER BY id") == before


def test_only_the_dead_letters_that_are_named_are_retried(registered: Bench) -> None:
    registered.plan(registered.message(stage=2), registered.message(stage=2))
    one, other = registered.claim()
    registered.record(Outcome(one, "dead", error="400"), Outcome(other, "dead", error="413"))
    letters = rows(registered.journal.path, "SELECT id, last_error FROM deliveries WHERE state = 'dead' ORDER BY id")
    assert letters == [(one.delivery_id, "400"), (other.delivery_id, "413")]
    assert registered.journal.retry([other.delivery_id]).letters == 1
    assert [claim.delivery_id for claim in registered.claim()] == [other.delivery_id]


@IN_A_FILE
def test_two_drains_in_two_processes_never_claim_the_same_delivery(registered: Bench) -> None:
    registered.plan(*(registered.message(stage=2) for _ in range(200)))
    code = """
import sys, journal
from journal.clock import utc_now
from journal.outbox.claims import Wanted
with journal.open(sys.argv[1]) as opened:
    outbox = opened.outbox()
    now = utc_now()
    for _ in range(200):
        three = Wanted("message", 3)
        found = outbox.claims.take(int(sys.argv[2]), three, owner=sys.argv[3], lease_seconds=600, now=now)
        if not found:
            break
        print(*[claim.delivery_id for claim in found])
    outbox.close()
"""
    folder, destination = registered.journal.path, registered.destination.id
    printed = finish([python(code, folder, destination, owner) for owner in ("a", "b")])
    shares = [{int(number) for number in share.split()} for share in printed]
    assert len(shares[0]) + len(shares[1]) == len(shares[0] | shares[1]) == 200


# --- uploads


def test_uploads_of_a_live_session_are_spaced(registered: Bench) -> None:
    started = from_text(registered.run.created_at)
    add_upload(registered)
    due = registered.next_due("upload", upload_spacing_seconds=60)
    assert due == started + timedelta(seconds=60)
    assert registered.claim("upload", now=due - timedelta(seconds=1), upload_spacing_seconds=60) == []
    assert len(registered.claim("upload", now=due, upload_spacing_seconds=60)) == 1


def test_spacing_counts_from_the_last_upload(registered: Bench) -> None:
    add_upload(registered)
    begun = utc_now()
    (first,) = registered.claim("upload", now=begun, upload_spacing_seconds=0)
    registered.record(Outcome(first, "delivered"))
    add_upload(registered)
    assert registered.claim("upload", now=begun + timedelta(seconds=59), upload_spacing_seconds=60) == []
    assert len(registered.claim("upload", now=begun + timedelta(seconds=60), upload_spacing_seconds=60)) == 1


@pytest.mark.parametrize("result", ["release", "retry"])
def test_an_upload_that_was_begun_is_not_spaced_again(registered: Bench, result: str) -> None:
    add_upload(registered)
    (first,) = registered.claim("upload", upload_spacing_seconds=0)
    registered.record(Outcome(first, result, error="reset"))  # type: ignore[arg-type]
    assert registered.next_due("upload") <= utc_now()  # type: ignore[operator]
    assert len(registered.claim("upload")) == 1


def test_a_final_upload_never_waits(registered: Bench) -> None:
    add_upload(registered, "final")
    assert len(registered.claim("upload")) == 1


def test_uploads_of_a_dead_session_are_not_spaced(over: Bench) -> None:
    add_upload(over)
    assert len(over.claim("upload")) == 1


def test_uploads_of_an_ended_session_are_not_spaced(registered: Bench) -> None:
    add_upload(registered)
    registered.writer.end_session(registered.session_id, "complete")
    assert len(registered.claim("upload")) == 1


def test_a_session_that_is_not_heard_of_is_dead(registered: Bench) -> None:
    add_upload(registered)
    [(heard,)] = rows(registered.journal.path, "SELECT heartbeat_at FROM sessions")
    quiet = from_text(heard) + timedelta(seconds=121)
    assert registered.claim("upload", now=quiet - timedelta(seconds=2), upload_spacing_seconds=600) == []
    assert len(registered.claim("upload", now=quiet, upload_spacing_seconds=600)) == 1


def test_uploads_of_a_run_go_one_after_the_other(over: Bench) -> None:
    add_upload(over)
    (first,) = over.claim("upload")
    add_upload(over, "final")
    assert over.claim("upload") == []
    over.record(Outcome(first, "delivered"))
    assert len(over.claim("upload")) == 1


def test_a_newer_checkpoint_supersedes_pending_ones_that_are_not_final(registered: Bench) -> None:
    add_upload(registered)
    add_upload(registered, "final")
    add_upload(registered, "best")
    assert registered.states()[1:] == ["superseded", "pending", "pending"]


def test_a_claimed_upload_is_not_superseded_under_its_owner(over: Bench) -> None:
    add_upload(over)
    (claim,) = over.claim("upload")
    add_upload(over)
    assert over.states()[1:] == ["claimed", "pending"]
    assert over.record(Outcome(claim, "delivered")) == []


@pytest.mark.parametrize(("publish", "replaced"), [(True, True), (False, False)])
def test_only_a_checkpoint_that_is_published_replaces_one(over: Bench, publish: bool, replaced: bool) -> None:
    add_upload(over, "best")
    (claim,) = over.claim("upload")
    assert not over.outbox.settlement.may_be_skipped(claim)
    over.event("checkpoint", {"publish": publish, "sha256": SHA}, "last")
    assert over.outbox.settlement.may_be_skipped(claim) == replaced


# --- planning, routing, signals


@IN_A_FILE
def test_chunk_ids_are_the_same_when_planned_again_from_a_copy(at: Bench, tmp_path: Path) -> None:
    planned = [at.message("training_started", 1, '{"a":1}'), at.message("epoch_end", 2), at.message("epoch_end", 2)]
    (tmp_path / "copy").mkdir()
    with (
        closing(sqlite3.connect(at.journal.database)) as connection,
        closing(sqlite3.connect(tmp_path / "copy" / "journal.db")) as other,
    ):
        connection.backup(other)
    at.plan(*planned)
    with bench(tmp_path / "copy", run_id=at.run.id) as copy:
        copy.plan(*planned)
        ids = rows(copy.journal.path, "SELECT chunk_id FROM deliveries ORDER BY id")
    assert ids == rows(at.journal.path, "SELECT chunk_id FROM deliveries ORDER BY id")
    assert len(set(ids)) == 3


def test_another_destination_has_other_chunk_ids(at: Bench) -> None:
    second = replace(at, destination=at.outbox.routes.add_destination("ultralytics", "https://second.example"))
    at.outbox.routes.add(at.run.id, second.destination.id)
    planned = at.message("training_started")
    at.plan(planned)
    second.plan(planned)
    assert rows(at.journal.path, "SELECT count(DISTINCT chunk_id) FROM deliveries") == [(2,)]


def test_the_slower_of_two_planners_writes_nothing(at: Bench) -> None:
    target, planned = at.target(), at.message("training_started")
    at.plan(planned)
    with pytest.raises(StaleClaim, match="another drain"):
        at.outbox.plans.write(target, [at.message()], through=99, stage=9)
    assert at.states() == ["pending"]
    assert at.target().planned_through == planned.last_event


def test_runs_without_a_destination_are_found_and_routed_once(at: Bench) -> None:
    lost = at.writer.start_run(project=None, name="lost", save_dir="/lost")
    assert [run.id for run in at.outbox.routes.unrouted_runs()] == [lost.id]
    assert at.outbox.routes.unrouted_runs([at.run.id]) == []
    at.outbox.routes.add(lost.id, at.destination.id)
    at.outbox.routes.add(lost.id, at.destination.id)
    at.writer.route(lost.id, "ultralytics", URL + "/")
    assert at.outbox.routes.unrouted_runs() == []
    assert len(at.outbox.routes.targets(run_ids=[lost.id])) == 1
    with pytest.raises(UnknownRow):
        at.outbox.routes.add("nobody", at.destination.id)


def test_a_signal_belongs_to_the_session_whose_event_was_answered(registered: Bench) -> None:
    registered.plan(registered.message(stage=2), registered.message(stage=2))
    resumed = registered.writer.start_session(registered.run.id)
    for claim in registered.claim():
        registered.record(Outcome(claim, "delivered", signals=(("cancelled", "by hand"),)))
    (signal,) = registered.writer.signals(registered.run.id)
    assert (signal.kind, signal.detail) == ("cancelled", "by hand")
    assert signal.session_id == registered.session_id != resumed


@IN_A_FILE
def test_a_look_at_the_signals_is_a_single_statement(registered: Bench) -> None:
    """A training looks several times in each epoch, on its own thread."""
    executed: list[str] = []
    driver = registered.writer._connection.driver()
    driver.set_trace_callback(executed.append)
    assert registered.writer.signals(registered.run.id) == []
    driver.set_trace_callback(None)
    assert [statement.split()[0] for statement in executed] == ["SELECT"]


@IN_A_FILE
def test_signals_that_cannot_be_read_are_an_error_of_the_journal(registered: Bench) -> None:
    registered.writer._connection.driver().execute("ALTER TABLE signals RENAME TO elsewhere")
    with pytest.raises(JournalError, match="signals"):
        registered.writer.signals(registered.run.id)


def test_large_messages_are_claimed_a_few_at_a_time(at: Bench) -> None:
    at.register()
    at.plan(*(at.message(body=f'"{"x" * 1_000}"') for _ in range(5)))
    assert len(at.claim(max_bytes=2_500)) == 2
    assert len(at.claim(max_bytes=10)) == 1
    assert len(at.claim(max_bytes=None)) == 2
