"""What may go ahead of a delivery that something in between answers by pages."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from support.journals import Bench, Engine, bench, later

from journal.clock import to_text, utc_now
from journal.outbox.kept_out import PAGES
from journal.records import Claim, Outcome

ON_BOTH_ENGINES = True
END = "training_complete"


@pytest.fixture
def bench_(tmp_path: Path, engine: Engine) -> Iterator[Bench]:
    with bench(tmp_path / "journal", engine) as opened:
        opened.register()
        yield opened


def paged(opened: Bench, kind: str, times: int, *, foreign: bool = True) -> Claim:
    """Have a delivery answered by so many pages; it waits for the next attempt then."""
    for _ in range(times):
        lane = "upload" if kind == "checkpoint" else "message"
        (claim,) = (one for one in opened.claim(lane, now=later(120)) if one.kind == kind)
        due = to_text(utc_now() + timedelta(seconds=60))
        opened.record(Outcome(claim, "retry", error="403", next_attempt_at=due, foreign=foreign))
    return claim


def kinds(opened: Bench, seconds: float = 0.0) -> list[str]:
    return [claim.kind for claim in opened.claim(now=later(seconds))]


def test_the_end_goes_ahead_of_it_while_it_waits(bench_: Bench) -> None:
    bench_.plan(bench_.message("epoch_end", 2), bench_.message(END, 3))
    paged(bench_, "epoch_end", PAGES)
    assert kinds(bench_) == [END]


def test_not_before_there_were_enough_pages(bench_: Bench) -> None:
    bench_.plan(bench_.message("epoch_end", 2), bench_.message(END, 3))
    paged(bench_, "epoch_end", PAGES - 1)
    assert kinds(bench_) == []


def test_not_for_failures_of_another_kind(bench_: Bench) -> None:
    bench_.plan(bench_.message("epoch_end", 2), bench_.message(END, 3))
    paged(bench_, "epoch_end", PAGES, foreign=False)
    assert kinds(bench_) == []


def test_not_when_it_is_its_turn_again(bench_: Bench) -> None:
    bench_.plan(bench_.message("epoch_end", 2), bench_.message(END, 3))
    paged(bench_, "epoch_end", PAGES)
    assert kinds(bench_, 120) == ["epoch_end"]


def test_not_while_another_one_of_its_stage_is_open(bench_: Bench) -> None:
    bench_.plan(bench_.message("epoch_end", 2), bench_.message(END, 3))
    paged(bench_, "epoch_end", PAGES)
    bench_.plan(bench_.message("system_metrics", 2))
    assert kinds(bench_) == ["system_metrics"]


@pytest.mark.parametrize(("kept_out", "behind"), [(END, "training_started"), (END, "epoch_end")])
def test_no_milestone_is_passed(bench_: Bench, kept_out: str, behind: str) -> None:
    bench_.plan(bench_.message(kept_out, 3), bench_.message(behind, 4))
    paged(bench_, kept_out, PAGES)
    assert kinds(bench_) == []


def test_the_start_of_the_next_session_goes_ahead_of_it_and_nothing_behind(bench_: Bench) -> None:
    start = bench_.message("training_started", 3)
    bench_.plan(bench_.message("epoch_end", 2), start, bench_.message("epoch_end", 4), bench_.message(END, 5))
    paged(bench_, "epoch_end", PAGES)
    (claim,) = bench_.claim()
    assert claim.kind == "training_started"
    bench_.record(Outcome(claim, "delivered"))
    assert kinds(bench_) == []


def test_all_messages_go_ahead_of_an_upload(bench_: Bench) -> None:
    upload = bench_.upload(bench_.checkpoint(b"weights", "best"), "best", 2)
    bench_.plan(upload, bench_.message("training_started", 3))
    paged(bench_, "checkpoint", PAGES)
    bench_.plan(bench_.message("epoch_end", 4), bench_.message(END, 5))
    for kind in ("training_started", "epoch_end", END):
        (claim,) = bench_.claim()
        assert claim.kind == kind
        bench_.record(Outcome(claim, "delivered"))


def test_it_is_kept_out_once_others_arrived_since(bench_: Bench) -> None:
    bench_.plan(bench_.message("epoch_end", 2), bench_.message(END, 3))
    paged(bench_, "epoch_end", PAGES)
    (claim,) = bench_.claim()
    bench_.record(Outcome(claim, "retry", error="403", foreign=True))
    (late,) = (one for one in bench_.claim(now=later(120)) if one.kind == "epoch_end")
    assert not bench_.outbox.settlement.is_kept_out(late)  # the registration arrived before
    bench_.record(Outcome(late, "retry", error="403", next_attempt_at=to_text(later(60)), foreign=True))
    (end,) = bench_.claim()
    bench_.record(Outcome(end, "delivered"))
    (late,) = bench_.claim(now=later(120))
    assert bench_.outbox.settlement.is_kept_out(late)
