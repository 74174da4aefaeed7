"""docs/journal.md and the views: every query that people are told of answers, on real rows and on many."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.journals import ROOT, Bench, bench, dead_pid, later, rows

from journal.clock import to_text
from journal.records import Outcome
from journal.schema import tables

DOCUMENT = (ROOT / "docs" / "journal.md").read_text("utf-8")
QUERIES = re.findall(r"```sql\n(.+?)\n```", DOCUMENT, re.DOTALL)
MANY = 20_000


def train(at: Bench, epochs: int) -> None:
    """Record a training as the callbacks do, and deliver a part of it."""
    at.plan(at.message("training_started"))
    (registration,) = at.claim(run_ids=[at.run.id])
    at.record(Outcome(registration, "delivered", ids={"modelId": "m-1"}, receipt={"received": True}))
    for epoch in range(epochs):
        losses = {"train/box_loss": 1.0 / (epoch + 1), "val/box_loss": 1.0}
        metrics = {**losses, "metrics/mAP50-95(B)": 0.1 * epoch}
        at.event("epoch_end", {"epoch": epoch, "metrics": metrics}, str(epoch))
        at.event("console_output", {"chunkId": epoch, "content": f"epoch {epoch}", "lineCount": 1}, str(epoch))
    at.plan(at.upload(at.checkpoint(b"weights", "last", epoch=epochs)))
    at.plan(*(at.message() for _ in range(4)))
    delivered, dead, failing, _ = at.claim(run_ids=[at.run.id])
    signals = (("cancelled", "by hand"),)
    at.record(
        Outcome(delivered, "delivered", signals=signals),
        Outcome(dead, "dead", error="413: too large"),
        Outcome(failing, "retry", error="503", next_attempt_at=to_text(later(60))),
    )
    at.event("training_complete", {"results": {}})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A journal in which a training has been recorded, by a process that was killed a while ago."""
    with bench(tmp_path_factory.mktemp("trained") / "journal", pid=dead_pid()) as at:
        train(at, epochs=3)
        at.event("epoch_end", {"epoch": 2, "metrics": {"train/box_loss": 0.25}}, "2")
        with closing(sqlite3.connect(at.journal.database)) as connection, connection:
            connection.execute("UPDATE sessions SET heartbeat_at = '2026-01-01T00:00:00.000000Z'")
        yield at


def test_there_are_ten_queries() -> None:
    assert len(QUERIES) == 10


@pytest.mark.parametrize("query", QUERIES, ids=range(1, len(QUERIES) + 1))
def test_a_query_of_the_document_finds_something(trained: Bench, query: str) -> None:
    assert rows(trained.journal.path, query)


def test_the_best_epoch_is_one_that_was_trained(tmp_path: Path) -> None:
    """The final evaluation comes under the number after the last epoch's, and is as good as the best one."""
    with bench(tmp_path / "journal") as at:
        for epoch in range(3):
            trained = {"train/box_loss": 1.0, "val/box_loss": 1.0, "metrics/mAP50-95(B)": 0.1 * epoch}
            at.event("epoch_end", {"epoch": epoch, "metrics": trained}, str(epoch))
        at.event("epoch_end", {"epoch": 3, "metrics": {"train/box_loss": 0.3, "metrics/mAP50-95(B)": 0.9}}, "3")
        assert [epoch for _, epoch, _ in rows(at.journal.path, QUERIES[1])] == [2]
        assert [epoch for epoch, _ in rows(at.journal.path, QUERIES[2])] == [0, 1, 2]


def test_every_table_column_and_view_is_in_the_document() -> None:
    described = DOCUMENT.split("## States of a delivery")[0]
    for table in tables.TABLES:
        own = re.search(rf"\*\*{table.name}\*\*.*?(?=\n\*\*|\Z)", described, re.DOTALL)
        assert own, table.name
        written = set(re.findall(r"`(\w+)`", own[0]))
        assert {column.name for column in table.columns} - written - {"id", "run_id", "session_id"} == set(), table.name
    assert set(tables.VIEWS) == set(re.findall(r"^\| `(\w+)` \|", DOCUMENT.split("## Views")[1], re.MULTILINE))


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        ("SELECT name, value FROM metrics WHERE epoch = 2", [("train/box_loss", 0.25)]),
        ("SELECT count(*) FROM metrics WHERE epoch < 2", [(6,)]),
        ("SELECT chunk, content FROM console", [(0, "epoch 0"), (1, "epoch 1"), (2, "epoch 2")]),
        ("SELECT role, epoch, size, bytes_are, delivery FROM checkpoints", [("last", 3, 7, "present", "pending")]),
        ("SELECT kind, state, attempts, last_error FROM pending WHERE attempts > 0", None),
        ("SELECT kind, reason, attempts FROM dead_letters", [("epoch_end", "413: too large", 1)]),
        (
            "SELECT project, name, epochs, last_milestone, sessions, delivered, pending, dead FROM run_overview",
            [("demo", "run", 4, "training_complete", 1, 2, 3, 1)],
        ),
    ],
)
def test_a_view_says_what_was_recorded(trained: Bench, view: str, expected: list[tuple[Any, ...]] | None) -> None:
    found = rows(trained.journal.path, view)
    if expected is None:
        expected = [("epoch_end", "pending", 1, "503"), ("epoch_end", "claimed", 1, None)]
    assert found == expected


def test_views_are_not_slow_on_many_rows(folder: Path) -> None:
    """Each view is one pass: by squares of 20,000 this would take minutes."""
    with bench(folder) as at:
        with closing(sqlite3.connect(at.journal.database)) as connection, connection:
            connection.executemany(
                "INSERT INTO events (run_id, session_id, kind, key, payload, created_at) VALUES (?, ?, ?, ?, ?, '')",
                (
                    (at.run.id, at.session_id, kind, str(number), f'{{"epoch":{number},"metrics":{{"loss":0.5}}}}')
                    for number in range(MANY // 3)
                    for kind in ("epoch_end", "console_output", "checkpoint")
                ),
            )
            connection.execute(
                "INSERT INTO deliveries (run_id, destination_id, chunk_id, kind, lane, stage, first_event, last_event,"
                " body, state, attempts, next_attempt_at, held, fence, created_at)"
                " SELECT run_id, ?, 'chunk ' || id, kind, 'upload', 1, id, id, '{}',"
                " CASE id % 3 WHEN 0 THEN 'pending' WHEN 1 THEN 'delivered' ELSE 'dead' END, 1, '', 0, 1, ''"
                " FROM events",
                [at.destination.id],
            )
        for view in tables.VIEWS:
            assert rows(folder, f"SELECT count(*) FROM (SELECT * FROM {view})")
            assert rows(folder, f"SELECT * FROM {view}")
        assert at.journal.report()[0].events > MANY - 3
