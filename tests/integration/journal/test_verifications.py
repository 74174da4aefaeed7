"""What a verification found stays with its run and destination, until something of the run changes."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.journals import Bench, rows

from journal.clock import utc_now
from journal.outbox import verifications
from journal.outbox.verifications import Finding, Found, Verification
from journal.records import Outcome

ON_BOTH_ENGINES = True
LOST = Finding("epoch 3", "missing", "the platform has no such epoch")


def note(at: Bench, *findings: Finding, proven: int = 2, unreadable: int = 0) -> None:
    with at.journal.begin(read_only=True) as connection:
        known = verifications.seen(connection, at.run.id, at.destination.id, utc_now())
    counts = {word: sum(one.word == word for one in findings) for word in verifications.WORDS}
    found = Found(known, {**counts, "proven": proven, "unreadable": unreadable}, findings)
    at.journal.note_verification(at.run.id, at.destination.id, found)


def last(at: Bench) -> Verification:
    [one] = at.journal.verifications([at.run.id])
    assert [one] == at.journal.verifications()
    return one


def test_the_last_one_of_a_destination_is_kept(at: Bench) -> None:
    assert at.journal.verifications() == []
    note(at, LOST)
    assert (last(at).missing, last(at).findings, last(at).is_verified) == (1, (LOST,), False)
    note(at)
    assert (last(at).missing, last(at).findings, last(at).proven) == (0, (), 2)
    assert (last(at).base_url, last(at).is_current) == (at.destination.base_url, True)
    assert (last(at).is_verified, last(at).is_proven) == (True, True)


def test_what_the_platform_does_not_show_is_not_proven(at: Bench) -> None:
    note(at, unreadable=1)
    assert (last(at).is_verified, last(at).is_proven) == (True, False)
    note(at, proven=0)
    assert not last(at).is_verified


def test_a_hundred_findings_are_named_and_all_are_counted(at: Bench) -> None:
    note(at, *[LOST] * 150)
    assert (last(at).missing, len(last(at).findings)) == (150, verifications.MOST_FINDINGS)


def planned(at: Bench) -> None:
    at.plan(at.message())


def delivered_by_an_earlier_clock(at: Bench) -> None:
    [(event,)] = rows(at.journal.path, "SELECT max(id) FROM events")
    at.plan(at.planned(event))
    with at.journal.begin() as connection:
        connection.exec_driver_sql("UPDATE deliveries SET state = 'delivered', settled_at = '2000-01-01'")


CHANGES = [lambda at: at.event(), planned, delivered_by_an_earlier_clock]


@pytest.mark.parametrize("change", CHANGES, ids=["an event", "a delivery", "a delivery, by an earlier clock"])
def test_it_holds_until_the_run_changes(at: Bench, change) -> None:
    at.register()
    planned(at)
    [claim] = at.claim()
    note(at)
    assert not last(at).is_current  # something is under way
    at.record(Outcome(claim, "delivered"))
    assert not last(at).is_current  # it was settled since
    note(at)
    assert last(at).is_current
    change(at)
    assert not last(at).is_current
    assert not last(at).is_verified


def test_a_run_that_is_sent_again_is_not_verified(at: Bench) -> None:
    note(at)
    at.journal.resend(at.run.id, at.destination.id)
    assert at.journal.verifications() == []


def test_it_goes_with_its_target(at: Bench, folder: Path) -> None:
    note(at)
    with at.journal.begin() as connection:
        connection.exec_driver_sql("DELETE FROM deliveries")
        connection.exec_driver_sql("DELETE FROM targets")
    assert rows(folder, "SELECT count(*) FROM verifications") == [(0,)]
