"""The rules of `Claims.take` that a drain stands on, beyond those of a single delivery."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from support.journals import Bench, Engine, bench, dead_pid, later

from journal.clock import utc_now
from journal.records import Outcome

ON_BOTH_ENGINES = True


@pytest.fixture
def live(tmp_path: Path, engine: Engine) -> Iterator[Bench]:
    """A run whose session is alive."""
    with bench(tmp_path / "journal", engine) as it:
        yield it


@pytest.fixture
def dead(tmp_path: Path, engine: Engine) -> Iterator[Bench]:
    """A run whose session's process is gone."""
    with bench(tmp_path / "journal", engine, pid=dead_pid()) as it:
        yield it


def test_a_registration_goes_before_what_was_recorded_earlier(live: Bench) -> None:
    live.plan(live.message("epoch_end", stage=0), live.message("training_started", stage=1))
    assert [claim.kind for claim in live.claim()] == ["training_started"]


def test_of_two_registrations_the_first_goes_first(live: Bench) -> None:
    live.plan(live.message("training_started", stage=1), live.message("training_started", stage=3))
    [first] = live.claim()
    assert live.claim() == []
    live.record(Outcome(first, "delivered", ids={}))
    assert len(live.claim()) == 1


def test_of_a_run_that_is_known_no_more_only_the_next_registration_goes(live: Bench) -> None:
    live.register()
    live.plan(live.message(stage=2), live.message(stage=2))
    live.plan(live.message("training_started", stage=3), live.message(stage=4))
    for claim in live.claim():
        assert live.claim() == []
        live.record(Outcome(claim, "dead", error="404", block="deleted"))
    [registration] = live.claim()
    assert (registration.kind, live.target().reason) == ("training_started", "deleted")
    live.record(Outcome(registration, "delivered", ids={"modelId": "m-2"}))
    assert (live.target().reason, [claim.ids for claim in live.claim()]) == (None, [{"modelId": "m-2"}])


def test_a_run_that_was_never_known_and_is_blocked_registers_no_more(live: Bench) -> None:
    live.plan(live.message("training_started", stage=1))
    [claim] = live.claim()
    live.record(Outcome(claim, "dead", error="422", block="422"))
    live.plan(live.message("training_started", stage=3))
    assert live.claim() == []


def test_a_platform_without_ids_registers_too(live: Bench) -> None:
    live.plan(live.message("training_started"))
    [claim] = live.claim()
    live.record(Outcome(claim, "delivered", ids={}))
    assert live.target().state == "registered"


def test_uploads_of_a_run_go_one_after_the_other(dead: Bench) -> None:
    dead.register()
    old = dead.upload(dead.checkpoint(b"old", "final"), "final")
    new = dead.upload(dead.checkpoint(b"new", "best"), "best")
    dead.plan(old, new)
    [first] = dead.claim("upload")
    assert (first.sha256, first.role) == (old.sha256, "final")
    assert dead.claim("upload") == []
    dead.record(Outcome(first, "delivered"))
    assert [claim.sha256 for claim in dead.claim("upload")] == [new.sha256]


def test_messages_of_one_role_go_one_after_the_other(live: Bench) -> None:
    """A later version of a step replaces an earlier one, so it must not overtake it; all others go together."""
    live.register()
    first, second = (replace(live.message(), role="epoch_end 3") for _ in range(2))
    others = replace(live.message(), role="epoch_end 4"), live.message(), live.message()
    live.plan(first, second, *others)
    claims = live.claim()
    assert [claim.first_event for claim in claims] == [each.first_event for each in (first, *others)]
    assert live.claim() == []
    live.record(Outcome(claims[0], "delivered"))
    assert [claim.first_event for claim in live.claim()] == [second.first_event]


def test_a_live_sessions_checkpoints_are_spaced(live: Bench) -> None:
    live.register()
    live.plan(live.upload(live.checkpoint(b"one")))
    assert live.claim("upload") == []
    assert len(live.claim("upload", now=later(901))) == 1


def test_a_final_checkpoint_is_not_spaced(live: Bench) -> None:
    live.register()
    live.plan(live.upload(live.checkpoint(b"one", "final"), "final"))
    assert len(live.claim("upload")) == 1


def test_a_dead_sessions_checkpoint_is_not_spaced_even_when_the_run_goes_on(dead: Bench) -> None:
    dead.register()
    dead.plan(dead.upload(dead.checkpoint(b"one")))
    dead.writer.start_session(dead.run.id)
    assert len(dead.claim("upload")) == 1


def test_when_the_next_message_is_due(live: Bench) -> None:
    assert live.next_due("message") is None
    live.plan(live.message("training_started"), live.message("epoch_end", stage=2))
    [claim] = live.claim()
    due = later(100)
    live.record(Outcome(claim, "retry", next_attempt_at=due.strftime("%Y-%m-%dT%H:%M:%S.%fZ")))
    # The epoch's own time is past, but it waits for the registration.
    assert live.next_due("message") == due


def test_when_the_next_spaced_upload_is_due(live: Bench) -> None:
    live.register()
    live.plan(live.upload(live.checkpoint(b"one")))
    due = live.next_due("upload")
    assert due is not None
    assert timedelta(seconds=800) < due - utc_now() <= timedelta(seconds=900)


def test_what_is_under_way_is_not_due(live: Bench) -> None:
    live.plan(live.message("training_started"))
    live.claim()
    assert live.next_due("message") is None


def test_targets_that_are_behind(live: Bench) -> None:
    assert live.behind() == []
    live.event()
    assert [target.run.id for target in live.behind()] == [live.run.id]
    live.plan(live.message())
    assert live.behind() == []


def test_a_target_whose_registration_waits_is_not_behind(live: Bench) -> None:
    live.plan(live.message("epoch_end", stage=0), live.message("training_complete"))
    live.event()
    assert live.behind() != []  # the registration is still to come
    live.plan(live.message("training_started", stage=3))
    live.event()
    assert live.behind() == []
    live.record(Outcome(live.claim()[0], "delivered", ids={}))
    assert live.behind() != []


@pytest.mark.parametrize(("publish", "newer"), [(True, True), (False, False)])
def test_only_a_published_checkpoint_replaces_another(dead: Bench, publish: bool, newer: bool) -> None:
    dead.register()
    dead.plan(dead.upload(dead.checkpoint(b"old", "best"), "best"))
    [claim] = dead.claim("upload")
    assert not dead.outbox.settlement.may_be_skipped(claim)
    dead.checkpoint(b"new", "last", publish=publish)
    assert dead.outbox.settlement.may_be_skipped(claim) == newer
