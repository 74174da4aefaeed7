"""The last line of a training."""

from __future__ import annotations

from dataclasses import replace

import pytest

from journal.reading.arrived import Arrived
from journal.reading.drain_at_work import DrainAtWork
from uploader.recording.farewell import farewell, farewell_into

HERE = "http://here"
DRAIN = DrainAtWork(7, "host", "", "2026", is_background=True, log="/journal/drain.log")
COMMAND = "python -m uploader drain"


@pytest.mark.parametrize(
    ("arrived", "line"),
    [
        ([Arrived("ultralytics", HERE, 9, 0, 0, 0)], "everything of this training has arrived at http://here"),
        (
            [Arrived("ultralytics", HERE, 9, 2, 1, 0)],
            "9 deliveries arrived at http://here so far, 2 deliveries and 1 event not yet. "
            "`python -m uploader drain` delivers the rest",
        ),
        (
            [Arrived("", "", 0, 0, 4, 0)],
            "nothing of this training has arrived so far, 4 events not yet. "
            "`python -m uploader drain` delivers the rest",
        ),
        (
            [Arrived("ultralytics", HERE, 9, 0, 0, 1)],
            "everything else of this training has arrived at http://here, 1 delivery refused",
        ),
        (
            None,
            "not all of this training is in the journal; `python -m uploader drain` takes in what is beside it, and "
            "delivers it",
        ),
    ],
)
def test_it_says_what_has_arrived_and_what_has_not(arrived: list[Arrived] | None, line: str) -> None:
    assert farewell(arrived, COMMAND, None) == line


def test_it_names_the_drain_that_goes_on() -> None:
    told = farewell([Arrived("ultralytics", HERE, 9, 2, 0, 0)], COMMAND, DRAIN)
    assert told.endswith(
        "2 deliveries not yet. The drain beside it goes on with the rest (process 7; it prints to /journal/drain.log); "
        "should it end before, `python -m uploader drain` delivers it"
    )
    waiting = replace(DRAIN, warnings=("Nothing is sent: there is no API key",))
    assert farewell([Arrived("", "", 0, 0, 2, 0)], COMMAND, waiting).endswith(
        "The drain beside it (process 7) waits: Nothing is sent: there is no API key. "
        "`kill 7` ends it, so that `python -m uploader drain` can deliver"
    )
    assert "process 7" not in farewell([Arrived("ultralytics", HERE, 9, 0, 0, 0)], COMMAND, DRAIN)


@pytest.mark.parametrize(
    ("arrived", "collector", "line"),
    [
        ([], None, "this training goes into postgresql://lab: `collect` brings in what is not there yet"),
        (
            [],
            replace(DRAIN, log="/journal/collect.log"),
            "this training goes into postgresql://lab. The collector beside it goes on with the rest (process 7; it "
            "prints to /journal/collect.log); should it end before, `collect` brings it in",
        ),
        (
            [],
            replace(DRAIN, warnings=("no place",)),
            "this training is not all in postgresql://lab yet. The collector beside it (process 7) tries again and "
            "again: no place. Should it end before, `collect` brings it in",
        ),
        (
            None,
            None,
            "not all of this training is in the journal; `collect` takes in what is beside it, and brings it in",
        ),
    ],
)
def test_the_last_line_of_a_training_into_a_shared_journal(
    arrived: list[Arrived] | None, collector: DrainAtWork | None, line: str
) -> None:
    assert farewell_into("postgresql://lab", arrived, "collect", collector, has_library=True) == line
