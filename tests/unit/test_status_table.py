"""The table of `status`: it fits every terminal, breaks no word, and has those first that want a person."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from journal.outbox.verifications import Finding, Verification
from journal.reading.details import Metric, RunDetails
from journal.reading.overview import RunOverview
from journal.reading.remaining import Remaining
from uploader.commands.status_obstacles import read_back
from uploader.commands.status_rows import Row, in_order, row_of, tally
from uploader.commands.status_table import table
from uploader.commands.terminal_text import width
from uploader.reports.standing import Standing, standing_of

ROW = Row(
    id="1",
    name="warehouse/train-17",
    standing=Standing.DELIVERED,
    state="interrupted",
    epochs="100/300",
    metric="mAP50-95",
    value="0.5123",
    seen="12 min",
    delivery="2 refused, 12 pending, 1.2 MB",
    platform="127.0.0.1:8765",
    page="http://127.0.0.1:8765/me/warehouse/train-17",
)
TARGET = Remaining(
    platform="ultralytics",
    base_url="http://127.0.0.1:8765",
    state="registered",
    reason=None,
    ids={},
    unplanned=0,
    pending=0,
    dead=0,
    dropped_at=None,
    pending_bytes=0,
    oldest_at=None,
    next_attempt_at=None,
    last_error=None,
)
RUN = RunOverview(
    id="1",
    project="demo",
    name="train",
    save_dir="",
    created_at="2026-01-01T00:00:00.000000Z",
    last_sign_at="2026-01-01T00:00:00.000000Z",
    seconds=0.0,
    state="finished",
    targets={1: TARGET},
    pruned=False,
    forks=0,
    unflushed=0,
)
DETAILS = RunDetails(epochs=3, planned_epochs=10, metric=None, unplanned_bytes=0)


def drawn(columns: int, *rows: Row) -> list[str]:
    return [line.plain for line in table(rows or [ROW], columns)]


@pytest.mark.parametrize("columns", range(60, 200, 3))
def test_it_fits_and_no_cell_is_cut(columns: int) -> None:
    titles, line = drawn(columns)
    assert max(map(width, (titles, line))) <= columns
    name, *cells = re.split("  +", line)
    whole = [ROW.state, ROW.epochs, ROW.value, ROW.seen, ROW.delivery, ROW.platform, ROW.page]
    assert cells == [cell for cell in whole if cell in cells]
    assert {ROW.state, ROW.delivery} <= {*cells}
    assert name in {ROW.name, "train-17"}
    assert len(titles.split()) == 1 + len(cells)


def test_columns_go_one_after_the_other_as_it_gets_narrower() -> None:
    titles = [drawn(columns)[0].split() for columns in (200, 120, 100, 85, 75)]
    assert titles == [
        ["RUN", "STATE", "EPOCHS", "mAP50-95", "SEEN", "DELIVERY", "PLATFORM", "LINK"],
        ["RUN", "STATE", "EPOCHS", "mAP50-95", "SEEN", "DELIVERY", "PLATFORM"],
        ["RUN", "STATE", "EPOCHS", "mAP50-95", "SEEN", "DELIVERY"],
        ["RUN", "STATE", "EPOCHS", "SEEN", "DELIVERY"],
        ["RUN", "STATE", "EPOCHS", "DELIVERY"],
    ]


def test_a_long_name_keeps_what_tells_it_from_others() -> None:
    long = replace(ROW, name="a-project-of-a-long-name/an-experiment-with-a-long-name-17", delivery="delivered")
    _, line = drawn(60, long)
    assert line.startswith("an-exp..")
    assert "..ong-name-17 " in line


def test_one_long_name_widens_no_line_even_in_a_pipe() -> None:
    long = replace(ROW, name=f"demo/{'x' * 300}-17", metric="m" * 300)
    titles, first, second = drawn(10_000, long, ROW)
    assert (first.split()[0][-6:], second.split()[0]) == ("xxx-17", ROW.name)
    assert titles.index("STATE") == second.index(ROW.state) == 82
    assert "m" * 41 not in first


def test_a_column_that_says_nothing_is_left_out_and_metrics_that_differ_are_named() -> None:
    assert "PLATFORM" not in drawn(200, replace(ROW, platform=""))[0]
    titles, first, second = drawn(200, ROW, replace(ROW, metric="loss", value="2.5"))
    assert "METRIC" in titles
    assert ("mAP50-95 0.5123" in first, "loss 2.5" in second) == (True, True)


def test_letters_of_two_columns_are_counted_as_two() -> None:
    titles, line, other = drawn(200, replace(ROW, name="倉庫/訓練"), ROW)
    assert width(line[: line.index(ROW.state)]) == other.index(ROW.state) == titles.index("STATE")


@pytest.mark.parametrize(
    ("state", "target", "standing", "delivery"),
    [
        ("finished", {}, Standing.DELIVERED, "delivered"),
        ("running", {}, Standing.RUNNING, "delivered so far"),
        ("running", {"unplanned": 3}, Standing.RUNNING, "3 pending, 0 B"),
        ("finished", {"pending": 2, "pending_bytes": 1500}, Standing.WAITING, "2 pending, 2 kB"),
        ("finished", {"dead": 2, "pending": 1}, Standing.TROUBLE, "2 refused, 1 pending, 0 B"),
        ("running", {"state": "blocked"}, Standing.TROUBLE, "blocked"),
        ("finished", {"state": "blocked", "dropped_at": "2026"}, Standing.DROPPED, "dropped"),
    ],
)
def test_what_a_line_says(state: Any, target: dict[str, Any], standing: Standing, delivery: str) -> None:
    run = replace(RUN, state=state, targets={1: replace(TARGET, **target)})
    assert (standing_of(state, run.targets.values()), row_of(run, DETAILS).delivery) == (standing, delivery)


VERIFICATION = Verification(
    run_id="1",
    destination_id=1,
    platform="ultralytics",
    base_url=TARGET.base_url,
    verified_at="2026-01-01T00:00:00.000000Z",
    is_deep=False,
    proven=9,
    different=0,
    missing=0,
    unreadable=1,
    findings=(),
    is_current=True,
)
LOST = Finding("epoch 3", "missing", "the platform has no epoch 3")


EARLIER = "verified {} ago, before its last events or deliveries"


@pytest.mark.parametrize(
    ("changes", "standing", "delivery", "said"),
    [
        (
            {},
            Standing.VERIFIED,
            "verified {} ago",
            "verified {} ago: 9 items as recorded, 1 cannot be read back",
        ),
        (
            {"findings": (LOST,)},  # what is named as missing and not counted only waited to be sent
            Standing.DELIVERED,
            "delivered",
            "read back {} ago: 9 items as recorded, 1 cannot be read back; what waited was not there yet",
        ),
        (
            {"missing": 1, "different": 2, "findings": (LOST,)},
            Standing.TROUBLE,
            "1 missing there, 2 different there",
            "read back {} ago: 1 missing, 2 different, such as epoch 3: the platform has no epoch 3; "
            "`python -m uploader verify RUN --fix --journal /j` sends again what that puts right",
        ),
        ({"is_current": False}, Standing.DELIVERED, "delivered", EARLIER),
        ({"is_current": False, "missing": 1}, Standing.DELIVERED, "delivered", EARLIER),
    ],
)
def test_what_reading_back_has_shown(
    changes: dict[str, Any], standing: Standing, delivery: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uploader.commands.spans._seconds_from_now", lambda moment: -3 * 86400.0)
    target = replace(TARGET, verification=replace(VERIFICATION, **changes))
    row = row_of(replace(RUN, targets={1: target}), DETAILS)
    assert (row.standing, row.delivery) == (standing, delivery.format("3 d"))
    assert read_back(target, Path("/j"), pruned=False) == said.format("3 d")


def test_a_run_is_verified_where_each_of_its_destinations_is() -> None:
    there = replace(TARGET, verification=VERIFICATION)
    assert standing_of("finished", [there, TARGET]) is Standing.DELIVERED
    assert standing_of("finished", [TARGET, there]) is Standing.DELIVERED
    assert standing_of("finished", [there, replace(TARGET, dropped_at="2026")]) is Standing.VERIFIED
    assert tally([replace(RUN, targets={1: there}), RUN]) == "1 delivered (not verified), 1 verified"


def test_a_run_that_goes_nowhere_yet_waits() -> None:
    row = row_of(replace(RUN, targets={}), replace(DETAILS, unplanned_bytes=2_000_000))
    assert (row.standing, row.delivery) == (Standing.WAITING, "not sent, 2 MB")


def test_those_in_trouble_come_first_and_the_newest_of_each_kind() -> None:
    blocked, waiting = ({1: replace(TARGET, **each)} for each in ({"state": "blocked"}, {"pending": 1}))
    runs = [
        replace(RUN, id="old", created_at="2020"),
        replace(RUN, id="waiting", targets=waiting),
        replace(RUN, id="new", created_at="2027"),
        replace(RUN, id="running", state="running"),
        replace(RUN, id="trouble", created_at="2019", targets=blocked),
    ]
    assert [run.id for run in in_order(runs)] == ["trouble", "running", "waiting", "new", "old"]
    assert tally(runs) == "1 in trouble, 1 running, 1 waiting, 2 delivered (not verified)"


def test_progress_and_the_figure_that_says_most() -> None:
    run = replace(RUN, targets={1: TARGET, 2: replace(TARGET, page="http://h/m")})
    row = row_of(run, replace(DETAILS, metric=Metric("metrics/mAP50-95(B)", 0.51234)))
    assert (row.epochs, row.metric, row.value, row.page) == ("3/10", "mAP50-95", "0.5123", "http://h/m")
    assert row_of(RUN, replace(DETAILS, planned_epochs=None)).epochs == "3"


def test_a_name_cannot_write_to_the_terminal() -> None:
    assert row_of(replace(RUN, name="a\x1b]52;c;x\x07b\nc"), DETAILS).name == "demo/ab c"
