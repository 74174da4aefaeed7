"""Runs that go somewhere else than to an address at which nobody ever was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.journals import PLATFORM, URL, Bench, Engine, bench

from journal.errors import UnknownRow
from journal.records import Outcome

ON_BOTH_ENGINES = True
RIGHT = "https://right.example"


@pytest.fixture
def opened(tmp_path: Path, engine: Engine) -> Iterator[Bench]:
    with bench(tmp_path / "journal", engine) as made:
        made.plan(made.message("training_started"))
        yield made


def places(opened: Bench, run_id: str | None = None) -> list[str]:
    return [one.destination.base_url for one in opened.outbox.routes.targets(run_ids=[run_id or opened.run.id])]


def test_a_run_of_which_nothing_was_sent_goes_elsewhere_whole(opened: Bench) -> None:
    (claim,) = opened.claim()
    opened.record(Outcome(claim, "release", error="cannot be reached"))
    moved = opened.journal.redirect([opened.run.id], PLATFORM, RIGHT)
    assert (moved.runs, moved.kept) == ((opened.run.id,), ())
    (target,) = opened.outbox.routes.targets()
    assert (target.destination.base_url, target.planned_through, target.state) == (RIGHT, 0, "new")
    assert opened.states() == []


@pytest.mark.parametrize(
    "outcome", [{"result": "retry", "error": "broke"}, {"result": "delivered", "ids": {"modelId": "m"}}, None]
)
def test_one_of_which_something_may_have_arrived_stays(opened: Bench, outcome: dict[str, Any] | None) -> None:
    (claim,) = opened.claim()
    if outcome:
        opened.record(Outcome(claim, **outcome))
    with pytest.raises(UnknownRow, match="may have arrived"):
        opened.journal.redirect(None, PLATFORM, RIGHT)
    assert places(opened) == [URL]


def test_it_stays_beside_others_that_go(opened: Bench) -> None:
    other = opened.writer.start_run(project="demo", name="other", save_dir="/other")
    opened.outbox.routes.add(other.id, opened.destination.id)
    opened.claim()
    moved = opened.journal.redirect(None, PLATFORM, RIGHT, origin=opened.destination.id)
    assert (moved.runs, moved.kept) == ((other.id,), (opened.run.id,))
    assert places(opened, other.id) == [RIGHT]


def test_other_addresses_and_platforms_of_a_run_stay(opened: Bench) -> None:
    second, hub = (
        opened.outbox.routes.add_destination(*each) for each in ((PLATFORM, "https://b"), ("hub", "https://h"))
    )
    opened.outbox.routes.add(opened.run.id, second.id, hub.id)
    opened.journal.redirect([opened.run.id], PLATFORM, RIGHT, origin=second.id)
    assert sorted(places(opened)) == ["https://h", URL, RIGHT]
    opened.journal.redirect([opened.run.id], PLATFORM, RIGHT)
    assert sorted(places(opened)) == ["https://h", RIGHT]


def test_what_was_given_up_is_not_taken_up_by_it(opened: Bench) -> None:
    opened.journal.drop_destination(opened.destination.id)
    with pytest.raises(UnknownRow, match="goes there"):
        opened.journal.redirect(None, PLATFORM, RIGHT)
