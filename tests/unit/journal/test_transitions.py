"""The states of a delivery: no method of the outbox makes a transition that the table of them does not have."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

from support.journals import Bench, bench, later, rows

from journal.records import OPEN_STATES, SETTLED_STATES, TRANSITIONS, Claim, Outcome

ACTIONS = {"plan": 5, "claim": 8, "record": 10, "wait": 3, "renew": 1, "take_over": 1, "retry": 2}
ACTIONS |= {"drop": 1}
RESULTS = {"delivered": 4, "retry": 2, "release": 1, "dead": 2, "superseded": 1}
BROKEN = """
    SELECT id, state, settled_at, lease_until, attempts FROM deliveries
    WHERE (state NOT IN ('pending', 'claimed')) != (settled_at IS NOT NULL)
       OR (state = 'claimed') != (lease_until IS NOT NULL) OR attempts < 0
"""


class Drains:
    """Drains that do at random what drains may do; claims are kept long after their leases ran out."""

    def __init__(self, at: Bench, random: Random) -> None:
        self.at, self.random = at, random
        self.now = later(60)  # after everything that is planned in a moment
        self.claims: list[Claim] = []

    def choose(self, weights: dict[str, int]) -> str:
        return self.random.choices(list(weights), list(weights.values()))[0]

    def plan(self) -> None:
        stage = self.at.target().stage
        if not stage:
            self.at.plan(self.at.message("training_started", 1))
        elif self.random.random() < 0.5:
            self.at.event("checkpoint", {"publish": True})
            self.at.plan(self.at.upload("0" * 64, self.random.choice(["last", "best", "final"]), stage))
        else:
            self.at.plan(self.at.message("epoch_end", stage), self.at.message("training_complete", stage + 1))

    def claim(self) -> None:
        lane, lease = self.random.choice(["message", "upload"]), self.random.choice([0.0, 60.0])
        self.claims += self.at.claim(lane, lease_seconds=lease, now=self.now, limit=2, upload_spacing_seconds=0.0)

    def record(self) -> None:
        result: Any = self.choose(RESULTS)
        block = "gone" if result == "dead" and self.random.random() < 0.3 else None
        for claim in self.claims[-3:][: self.random.randint(1, 3)]:
            outcome = Outcome(claim, result, ids={} if result == "delivered" else None, error=result, block=block)
            self.at.outbox.settlement.record([outcome], now=self.now)

    def wait(self) -> None:
        self.now += timedelta(seconds=self.random.choice([1, 120]))

    def renew(self) -> None:
        self.at.outbox.claims.renew(self.claims, lease_seconds=60.0, now=self.now)

    def take_over(self) -> None:
        self.at.outbox.claims.take_over(self.now)

    def retry(self) -> None:
        self.at.journal.retry()

    def drop(self) -> None:
        self.at.journal.drop_destination(self.at.destination.id)
        self.at.outbox.routes.add(self.at.run.id, self.at.destination.id)


def test_the_table_names_every_state_and_those_that_end() -> None:
    assert set(TRANSITIONS) == {*OPEN_STATES, *SETTLED_STATES}
    assert set().union(*TRANSITIONS.values()) <= set(TRANSITIONS)
    ended = {state for state, after in TRANSITIONS.items() if not after}
    assert ended == {"superseded"}


def test_whatever_drains_do_keeps_to_the_table(tmp_path: Path) -> None:
    made: Counter[tuple[str, str]] = Counter()
    for seed in range(4):
        with bench(tmp_path / str(seed) / "journal") as at:
            made += act(at, seed)
    assert {("claimed", "delivered"), ("dead", "pending"), ("pending", "superseded")} <= set(made)


def act(at: Bench, seed: int) -> Counter[tuple[str, str]]:
    """Do 150 things; return how often which transition was made."""
    drains, made, before = Drains(at, Random(seed)), Counter[tuple[str, str]](), dict[int, str]()
    for _ in range(150):
        action = drains.choose(ACTIONS)
        getattr(drains, action)()
        after = dict(rows(at.journal.path, "SELECT id, state FROM deliveries"))
        changed = [(before.get(one, "pending"), state) for one, state in after.items()]
        made.update((old, new) for old, new in changed if old != new)
        assert all(old == new or new in TRANSITIONS[old] for old, new in changed), (seed, action, changed)
        assert rows(at.journal.path, BROKEN) == [], (seed, action)
        before = after
    return made
