from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

import journal
from journal.kinds import MILESTONES
from journal.records import Event
from uploader.platforms.plans import Plan
from uploader.platforms.stages import next_stage
from uploader.platforms.ultralytics.planner import LONGEST_CONSOLE, plan

KINDS = [
    "training_started",
    "training_complete",
    "training_failed",
    "epoch_end",
    "console_output",
    "system_metrics",
    "model_saved",
    "checkpoint",
    "something_new",
]


def event(number: int, kind: str, payload: dict[str, Any] | None = None) -> Event:
    text = journal.encode(payload if payload is not None else default_payload(number, kind))
    return Event(number, "run", 1, kind, str(number), text, "2026-01-01T00:00:00.000000Z")


def default_payload(number: int, kind: str) -> dict[str, Any]:
    if kind == "console_output":
        return console(number, f"line {number}")
    if kind == "checkpoint":
        return {"role": "best", "filename": "best.pt", "sha256": "a" * 64, "size": 7, "publish": True}
    return {"number": number}


def console(number: int, content: str) -> dict[str, Any]:
    return {"chunkId": number, "content": content, "lineCount": 1, "progress": {"bar": number}}


def kinds_of(it: Plan) -> list[tuple[str, int]]:
    return [(one.kind, one.stage) for one in it.deliveries]


def test_an_end_waits_for_epochs_that_were_taken_in_after_it() -> None:
    salvaged = {"epoch": 3, "metrics": {}, "source": "results.csv"}
    kinds: list[tuple[str, dict[str, Any] | None]] = [
        *(("training_started", None), ("epoch_end", None), ("training_failed", None), ("epoch_end", salvaged)),
        *(("epoch_end", salvaged), ("epoch_end", {"source": None}), ("epoch_end", salvaged)),
    ]
    planned = plan([event(number, *kind) for number, kind in enumerate(kinds, 1)], 0)
    assert [stage for _, stage in kinds_of(planned)] == [1, 2, 3, 2, 2, 4, 4]


def test_milestones_have_a_stage_of_their_own() -> None:
    kinds = ["training_started", "epoch_end", "checkpoint", "epoch_end", "training_complete"]
    planned = plan([event(number, kind) for number, kind in enumerate(kinds, 1)], 0)
    assert kinds_of(planned) == [
        ("training_started", 1),
        ("epoch_end", 2),
        ("checkpoint", 2),
        ("epoch_end", 2),
        ("training_complete", 3),
    ]
    assert (planned.through, planned.stage) == (5, 3)


def test_a_resumed_run_goes_on_above_the_last_stage() -> None:
    planned = plan([event(9, "training_started"), event(10, "epoch_end")], 3)
    assert kinds_of(planned) == [("training_started", 5), ("epoch_end", 6)]


def test_what_comes_after_a_completion_waits_for_it() -> None:
    assert next_stage(3, "console_output") == 4
    assert next_stage(4, "console_output") == 4


def test_messages_keep_their_bytes() -> None:
    odd = Event(1, "run", 1, "epoch_end", "0", '{"z":1,  "a":1e-7}', "")
    [delivery] = plan([odd], 0).deliveries
    assert delivery.body == odd.payload
    assert (delivery.lane, delivery.first_event, delivery.last_event) == ("message", 1, 1)


def test_a_single_console_chunk_keeps_its_bytes_too() -> None:
    [delivery] = plan([event(1, "console_output")], 0).deliveries
    assert delivery.body == event(1, "console_output").payload


def test_consecutive_console_text_is_joined() -> None:
    events = [event(number, "console_output") for number in (3, 4, 5)]
    [delivery] = plan(events, 0).deliveries
    assert json.loads(delivery.body) == {
        "chunkId": 3,
        "content": "line 3\nline 4\nline 5",
        "lineCount": 3,
        "progress": {"bar": 5},
    }
    assert (delivery.first_event, delivery.last_event) == (3, 5)


def test_a_chunk_in_which_only_progress_moved_adds_no_empty_line() -> None:
    moved = json.dumps({"chunkId": 4, "content": "", "lineCount": 0, "progress": {"bar": 4}})
    events = [event(3, "console_output"), replace(event(4, "console_output"), payload=moved)]
    [delivery] = plan([*events, event(5, "console_output")], 0).deliveries
    assert json.loads(delivery.body)["content"] == "line 3\nline 5"


def test_console_text_is_not_joined_across_what_is_sent_between() -> None:
    events = [event(1, "console_output"), event(2, "epoch_end"), event(3, "console_output")]
    assert [kind for kind, _ in kinds_of(plan(events, 0))] == ["console_output", "epoch_end", "console_output"]


def test_what_is_not_sent_does_not_part_console_text() -> None:
    events = [event(1, "console_output"), event(2, "model_saved"), event(3, "console_output")]
    [delivery] = plan(events, 0).deliveries
    assert (delivery.first_event, delivery.last_event) == (1, 3)


def test_console_text_is_not_joined_over_a_sessions_end() -> None:
    lines = [event(number, "console_output", console(number, f"line {number}")) for number in (1, 2)]
    resumed = replace(lines[1], session_id=2, generation=2)
    assert len(plan(lines, 0).deliveries) == 1
    assert len(plan([lines[0], resumed], 0).deliveries) == 2


def test_console_text_is_not_joined_over_what_may_come_late() -> None:
    """Numbers 2 and 3 are in a fallback file, and may have been printed between."""
    lines = [
        replace(event(number, "console_output", console(number, f"line {number}")), seq=seq)
        for number, seq in ((1, 1), (2, 4), (3, 5))
    ]
    assert [(one.first_event, one.last_event) for one in plan(lines, 0).deliveries] == [(1, 1), (2, 3)]
    unsent = replace(event(4, "model_saved"), seq=6)
    last = replace(event(5, "console_output", console(5, "line")), seq=7)
    assert [(one.first_event, one.last_event) for one in plan([*lines, unsent, last], 0).deliveries] == [(1, 1), (2, 5)]


def test_what_two_sessions_tell_goes_one_after_the_other() -> None:
    """Also where the older one's event came so late that no milestone lies between."""
    now, late, again = (replace(event(number, "epoch_end"), generation=number % 2 + 1) for number in (1, 2, 3))
    assert [one.stage for one in plan([now, late, again], 2, 2).deliveries] == [2, 4, 6]
    assert [one.stage for one in plan([now, late, again], 2, 1).deliveries] == [4, 6, 8]
    assert [one.stage for one in plan([now, late, again], 1, 1).deliveries] == [2, 4, 6]


def test_joined_console_text_has_a_bound_in_bytes() -> None:
    events = [event(number, "console_output", console(number, "ä" * 10_000)) for number in range(1, 9)]
    bodies = [json.loads(one.body) for one in plan(events, 0).deliveries]
    assert all(len(body["content"].encode()) <= LONGEST_CONSOLE for body in bodies)
    assert sum(body["lineCount"] for body in bodies) == 8
    assert len(bodies) == 3


def test_what_was_given_up_is_told_as_a_line_of_console_text() -> None:
    items = [{"what": "checkpoints", "count": 2, "bytes": 1_500_000_000}, {"what": "plots", "count": 1, "bytes": 10}]
    lost = event(2, "given_up", {"reason": "the journal is full", "items": items})
    [delivery] = plan([lost], 4).deliveries
    assert (delivery.kind, delivery.stage, delivery.first_event) == ("console_output", 4, 2)
    line = "Uploader: given up: 2 checkpoints (1.5 GB), 1 plot (10 B), because the journal is full"
    assert json.loads(delivery.body) == {"chunkId": 1767225600000, "content": line, "lineCount": 1, "progress": {}}
    [joined] = plan([event(1, "console_output"), lost, event(3, "console_output")], 4).deliveries
    assert json.loads(joined.body)["content"] == f"line 1\n{line}\nline 3"


def test_one_huge_chunk_goes_alone() -> None:
    events = [
        event(1, "console_output"),
        event(2, "console_output", console(2, "x" * 2 * LONGEST_CONSOLE)),
        event(3, "console_output"),
    ]
    assert [(one.first_event, one.last_event) for one in plan(events, 0).deliveries] == [(1, 1), (2, 2), (3, 3)]


def test_a_checkpoint_becomes_an_upload() -> None:
    [delivery] = plan([event(1, "checkpoint")], 0).deliveries
    assert (delivery.kind, delivery.lane, delivery.sha256, delivery.role) == ("checkpoint", "upload", "a" * 64, "best")
    assert json.loads(delivery.body)["filename"] == "best.pt"


def test_a_checkpoint_that_is_not_published_stays_here() -> None:
    hidden = {**default_payload(1, "checkpoint"), "publish": False}
    planned = plan([event(1, "checkpoint", hidden)], 4)
    assert planned == Plan((), through=1, stage=4)


@given(st.lists(st.sampled_from(KINDS), min_size=1, max_size=40), st.integers(0, 9), st.integers(1, 40))
def test_every_sent_event_is_covered_once_however_planning_is_split(kinds: list[str], stage: int, size: int) -> None:
    events = [event(number, kind) for number, kind in enumerate(kinds, 1)]
    deliveries = []
    for start in range(0, len(events), size):
        part = plan(events[start : start + size], stage)
        stage = part.stage
        deliveries += part.deliveries
    for sent in events:
        covering = [one for one in deliveries if one.first_event <= sent.id <= one.last_event and one.kind == sent.kind]
        assert len(covering) == (0 if sent.kind in {"model_saved", "something_new"} else 1)
    for earlier, later in pairwise(deliveries):
        assert earlier.stage <= later.stage
        if earlier.kind in MILESTONES or later.kind in MILESTONES:
            assert earlier.stage < later.stage
