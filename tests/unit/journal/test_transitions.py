"""The states of a delivery: no method of the outbox makes a transition that the table of them does not have."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from support.journals import Bench, bench, rows

from journal.clock import utc_now
from journal.records import OPEN_STATES, SETTLED_STATES, TRANSITIONS, Claim, Outcome

RESULTS = ["delivered", "delivered", "delivered", "retry", "release", "dead", "superseded"]


def test_the_table_names_every_state_and_settled_ones_end_there() -> None:
    assert set(TRANSITIONS) == {*OPEN_STATES, *SETTLED_STATES}
    assert set().union(*TRANSITIONS.values()) <= set(TRANSITIONS)
    ended = {state for state, after in TRANSITIONS.items() if not after}
    assert ended == {"delivered", "superseded", "dropped"}


class Drains(RuleBasedStateMachine):
    """Two drains that do, in any order, what a drain may do; claims are kept long after their leases ran out."""

    folder: Path

    @initialize()
    def open(self) -> None:
        self.context = bench(self.folder / str(len(list(self.folder.iterdir()))) / "journal")
        self.at: Bench = self.context.__enter__()
        self.now = utc_now()
        self.claims: list[Claim] = []
        self.before: dict[int, str] = {}

    def teardown(self) -> None:
        self.context.__exit__(None, None, None)

    @rule(lane=st.sampled_from(["message", "message", "upload"]), role=st.sampled_from(["last", "best", "final"]))
    def plan(self, lane: str, role: str) -> None:
        stage = self.at.target().stage
        if not stage:
            self.at.plan(self.at.message("training_started", 1))
        elif lane == "upload":
            self.at.event("checkpoint", {"publish": True})
            self.at.plan(self.at.upload("0" * 64, role, stage))
        else:
            self.at.plan(self.at.message("epoch_end", stage), self.at.message("training_complete", stage + 1))

    @rule(lane=st.sampled_from(["message", "upload"]), lease=st.sampled_from([0.0, 60.0]), owner=st.integers(1, 2))
    def claim(self, lane: str, lease: float, owner: int) -> None:
        spacing = {"upload_spacing_seconds": 0.0}
        self.claims += self.at.claim(lane, owner=str(owner), lease_seconds=lease, now=self.now, limit=2, **spacing)

    @rule(data=st.data(), result=st.sampled_from(RESULTS), block=st.booleans())
    def record(self, data: st.DataObject, result: Any, block: bool) -> None:
        if self.claims:
            claim = data.draw(st.sampled_from(self.claims[-4:]))
            ids = {} if result == "delivered" else None
            reason = "gone" if block and result == "dead" else None
            self.at.outbox.record([Outcome(claim, result, ids=ids, error=result, block=reason)], now=self.now)

    @rule(seconds=st.sampled_from([1, 120]))
    def wait(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule()
    def renew(self) -> None:
        self.at.outbox.renew(self.claims, lease_seconds=60.0, now=self.now)

    @rule()
    def reclaim(self) -> None:
        self.at.outbox.reclaim()

    @rule()
    def make_due(self) -> None:
        self.at.outbox.make_due(self.now)

    @rule()
    def revive(self) -> None:
        self.at.outbox.revive()

    @invariant()
    def transitions_are_those_of_the_table(self) -> None:
        after = dict(rows(self.at.journal.path, "SELECT id, state FROM deliveries"))
        made = {(self.before.get(one, "pending"), state) for one, state in after.items()}
        assert {(old, new) for old, new in made if old != new and new not in TRANSITIONS[old]} == set()
        self.before = after

    @invariant()
    def rows_agree_with_their_state(self) -> None:
        settled = "state NOT IN ('pending', 'claimed')"
        leased = "state = 'claimed'"
        broken = f"({settled}) != (settled_at IS NOT NULL) OR ({leased}) != (lease_until IS NOT NULL) OR attempts < 0"
        assert rows(self.at.journal.path, f"SELECT id, state FROM deliveries WHERE {broken}") == []


@pytest.fixture
def machine(tmp_path: Path) -> type[Drains]:
    return type("DrainsHere", (Drains,), {"folder": tmp_path})


def test_every_sequence_of_a_drains_actions_keeps_to_the_table(machine: type[Drains]) -> None:
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    chosen = settings(max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=checks)
    run_state_machine_as_test(machine, settings=chosen)
