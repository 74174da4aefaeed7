"""What a feed claims for a sender: uploads along with messages, and of a probe one delivery alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import pytest
from support.journals import Bench, Engine, bench, rows

from journal.records import Claim
from uploader.delivery.feed import Feed
from uploader.delivery.sender import BYTES_IN_FLIGHT, Capacity, Sender

ON_BOTH_ENGINES = True
PROBE = Capacity(1, BYTES_IN_FLIGHT, 1, is_probe=True)
SHA = "a" * 64


class Taking:
    """A sender that has capacity once, and notes what it is given at a time."""

    def __init__(self, at: Bench, capacity: Capacity) -> None:
        self.destination = at.destination
        self.given: list[list[str]] = []
        self._capacity = capacity

    def capacity(self) -> Capacity:
        return Capacity(0, BYTES_IN_FLIGHT) if any(self.given) else self._capacity

    def start(self, claims: Sequence[Claim]) -> None:
        self.given.append([claim.lane for claim in claims])


@pytest.fixture
def registered(tmp_path: Path, engine: Engine) -> Iterator[Bench]:
    with bench(tmp_path / "journal", engine) as at:
        at.register()
        yield at


def given(at: Bench, capacity: Capacity) -> list[list[str]]:
    sender = Taking(at, capacity)
    Feed(at.outbox, None).fill(cast("Sender", sender))
    return [lanes for lanes in sender.given if lanes]


def add_upload(at: Bench) -> None:
    at.event("checkpoint", {"publish": True, "sha256": SHA}, "final")
    at.plan(at.upload(SHA, "final", 2))


def test_uploads_are_claimed_along_with_messages(registered: Bench) -> None:
    registered.plan(registered.message(stage=2))
    add_upload(registered)
    assert given(registered, Capacity(4, BYTES_IN_FLIGHT, 2)) == [["message", "upload"]]


def test_a_probe_is_a_message_where_one_is_due(registered: Bench) -> None:
    registered.plan(registered.message(stage=2))
    add_upload(registered)
    assert given(registered, PROBE) == [["message"]]


def test_a_probe_is_an_upload_where_no_message_is_due(registered: Bench) -> None:
    add_upload(registered)
    assert given(registered, PROBE) == [["upload"]]


def test_a_probe_is_a_message_that_is_not_planned_yet_before_it_is_an_upload(registered: Bench) -> None:
    add_upload(registered)
    registered.event()
    assert given(registered, PROBE) == [["message"]]


def test_where_messages_have_no_room_uploads_are_claimed_alone(registered: Bench) -> None:
    registered.plan(registered.message(stage=2))
    add_upload(registered)
    assert given(registered, Capacity(0, BYTES_IN_FLIGHT, 2)) == [["upload"]]


@pytest.mark.parametrize(("waiting", "more"), [(2, False), (6, True)])
def test_more_is_looked_for_at_once_only_where_more_waited(registered: Bench, waiting: int, more: bool) -> None:
    """Else each of the last answers would have all of the journal looked through."""
    for _ in range(waiting):
        registered.plan(registered.message(stage=2))
    sender = Taking(registered, Capacity(4, BYTES_IN_FLIGHT))
    feed = Feed(registered.outbox, None)
    feed.fill(cast("Sender", sender))
    sender.given.clear()  # it has capacity again
    assert feed.may_fill(cast("Sender", sender)) is more


def test_an_upload_is_claimed_when_what_may_replace_it_is_planned(registered: Bench) -> None:
    """As of a finished run of which only the beginning was planned until it was registered."""
    registered.event("checkpoint", {"publish": True, "sha256": SHA, "role": "best"}, "best")
    registered.plan(registered.upload(SHA, "best", 2))
    registered.event("checkpoint", {"publish": True, "sha256": "b" * 64, "role": "final"}, "final")
    registered.writer.end_session(registered.session_id, "complete")
    assert given(registered, Capacity(4, BYTES_IN_FLIGHT, 2)) == [["upload"]]
    states = rows(registered.journal.path, "SELECT role, state FROM deliveries WHERE lane = 'upload'")
    assert states == [("best", "superseded"), ("final", "claimed")]
