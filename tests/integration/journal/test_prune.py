"""Pruning: what has arrived whole may go, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from support.journals import IN_A_FILE, Bench, Engine, bench, dead_pid, rows

from journal.clock import utc_now
from journal.records import Outcome
from journal.retention import pruning

ON_BOTH_ENGINES = True


@pytest.fixture
def over(folder: Path, engine: Engine) -> Iterator[Bench]:
    """A run whose session's process is gone, and of which everything so far has arrived."""
    with bench(folder, engine, pid=dead_pid()) as opened:
        opened.register()
        yield opened


def plan_all(at: Bench) -> None:
    """Have everything looked at; what is not planned now goes nowhere."""
    (last,) = rows(at.journal.path, "SELECT max(id) FROM events")[0]
    at.outbox.plans.write(at.target(), [], through=last, stage=1)


def events(at: Bench) -> int:
    return int(rows(at.journal.path, "SELECT count(*) FROM events WHERE run_id = ?", at.run.id)[0][0])


@IN_A_FILE
@pytest.mark.parametrize("by_itself", [False, True])
def test_a_run_whose_final_checkpoint_is_still_to_be_salvaged_stays(over: Bench, *, by_itself: bool) -> None:
    """Its snapshot failed, and everything else has arrived."""
    weights = Path(over.run.save_dir) / "best.pt"
    weights.write_bytes(b"final")
    file = {"role": "final", "path": str(weights), "publish": True}
    over.event("model_saved", {"epoch": 0, "files": [file]}, "0")
    plan_all(over)
    if by_itself:
        with closing(over.journal.writer()) as writer:
            writer.space(1).for_events()
    else:
        assert over.journal.prune(utc_now()).runs == 0
    assert (events(over), over.journal.salvage()) == (2, 1)


def test_a_run_whose_lost_checkpoint_nobody_can_salvage_goes(over: Bench) -> None:
    gone = {"role": "last", "path": str(Path(over.run.save_dir) / "last.pt")}
    over.event("model_saved", {"epoch": 0, "files": [gone]}, "0")
    plan_all(over)
    assert over.journal.prune(utc_now()).runs == 1


def test_a_run_that_has_arrived_goes_piece_by_piece(over: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "_ROWS", 2)
    other = over.writer.start_run(project=None, name="other", save_dir="/other")
    over.writer.route(other.id, over.destination.platform, over.destination.base_url)
    waiting = replace(over, run=other, session_id=over.writer.start_session(other.id, dead_pid()))
    over.plan(*(over.message(stage=2) for _ in range(5)))
    waiting.plan(waiting.message("training_started"))
    over.record(*(Outcome(claim, "delivered", error="late") for claim in over.claim(run_ids=[over.run.id])))

    pruned = over.journal.prune(utc_now())

    assert (pruned.runs, pruned.events, events(over), events(waiting)) == (1, 6, 0, 1)
    assert rows(over.journal.path, "SELECT run_id, count(*) FROM deliveries GROUP BY run_id") == [(other.id, 1)]
    assert rows(over.journal.path, "SELECT count(*) FROM attempts") == [(0,)]
    assert over.journal.prunable(utc_now()) == []
    assert {run.id: run.pruned for run in over.journal.report()} == {over.run.id: True, other.id: False}
