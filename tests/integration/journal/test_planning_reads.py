"""What a planner reads of a run: some kinds of events, the newest of a kind, and how far there is anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.journals import backlog, later
from support.recordings import Recordings, recordings

from journal.outbox.backlog import BYTES_AT_ONCE, last_event, newest_events
from journal.outbox.claims import Wanted
from journal.outbox.outbox import Outbox
from journal.records import PlannedDelivery


@pytest.fixture
def journals(tmp_path: Path) -> Iterator[Recordings]:
    with recordings(tmp_path / "journal") as opened:
        yield opened


def read(outbox: Outbox, what: Callable[..., Any], *arguments: object) -> Any:
    """Return what a function reads."""
    with outbox.begin(read_only=True) as connection:
        return what(connection, *arguments)


@pytest.fixture
def outbox(journals: Recordings) -> Iterator[Outbox]:
    opened = journals.journal.outbox()
    yield opened
    opened.close()


def test_events_can_be_chosen_by_their_kind(journals: Recordings, outbox: Outbox) -> None:
    training = journals.whole(epochs=3)
    chosen = backlog(outbox, training.run.id, after=0, limit=100, kinds={"training_started", "epoch_end"}).events
    assert [event.kind for event in chosen] == ["training_started", "epoch_end", "epoch_end", "epoch_end"]
    assert backlog(outbox, training.run.id, after=chosen[1].id, limit=1, kinds={"epoch_end"}).events == [chosen[2]]


def test_the_newest_events_come_in_order(journals: Recordings, outbox: Outbox) -> None:
    training = journals.whole(epochs=3)
    epochs = backlog(outbox, training.run.id, after=0, limit=100, kinds={"epoch_end"}).events
    through = read(outbox, last_event, training.run.id)
    assert read(outbox, newest_events, training.run.id, "epoch_end", through, 2) == epochs[1:]
    assert read(outbox, newest_events, training.run.id, "epoch_end", epochs[1].id, 2) == epochs[:2]


def test_the_last_event_is_of_the_run(journals: Recordings, outbox: Outbox) -> None:
    first, second = journals.begin("first"), journals.begin("second")
    assert read(outbox, last_event, first.run.id) == 0
    ids = [first.event("console_output"), second.event("console_output")]
    assert [read(outbox, last_event, first.run.id), read(outbox, last_event, second.run.id)] == ids


@pytest.mark.parametrize(
    ("role", "publish", "expected"), [("last", False, True), ("best", True, True), ("best", False, False)]
)
def test_a_checkpoint_is_replaced_by_one_of_its_role_or_a_published_one(
    journals: Recordings, outbox: Outbox, role: str, publish: bool, expected: bool
) -> None:
    training = journals.begin()
    sha256 = training.checkpoint(b"one", "last", publish=False)
    place = outbox.routes.add_destination("hub", "https://hub.example")
    outbox.routes.add(training.run.id, place.id)
    [target] = outbox.routes.targets()
    events = backlog(outbox, training.run.id, after=0, limit=9).events
    upload = PlannedDelivery("training_started", "upload", 1, events[0].id, events[0].id, "{}", sha256, "last")
    outbox.plans.write(target, [upload], through=events[0].id, stage=1)
    [claim] = outbox.claims.take(
        place.id, Wanted("upload", 1), owner="me", lease_seconds=60, now=later(0), upload_spacing_seconds=0
    )
    assert not outbox.settlement.may_be_skipped(claim)
    training.checkpoint(b"two", role, publish=publish)
    assert outbox.settlement.may_be_skipped(claim) is expected


def test_large_events_are_read_a_few_at_a_time(journals: Recordings, outbox: Outbox) -> None:
    training = journals.begin()
    for number in range(4):
        training.event("epoch_end", {"epoch": number, "text": "x" * (BYTES_AT_ONCE // 2)}, str(number))
    first = backlog(outbox, training.run.id, after=0, limit=100)
    assert (len(first.events), first.is_whole) == (2, False)
    assert outbox.fold_wal()  # a reading that was cut short would be in the way
    rest = backlog(outbox, training.run.id, after=first.events[-1].id, limit=3)
    assert (len(rest.events), rest.is_whole) == (2, False)
    assert backlog(outbox, training.run.id, after=rest.events[-1].id, limit=3).is_whole
