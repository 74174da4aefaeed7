"""Pruning: what has arrived whole may go, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.journals import Bench, Engine, bench, dead_pid, rows

from journal.clock import utc_now

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


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
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
