"""A journal with everything in it."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from support.journals import bench

from journal.records import Outcome

EVENTS = 400


@pytest.fixture
def folder(everything: Path, tmp_path: Path) -> Path:
    """A copy of `everything`, to be harmed."""
    return Path(shutil.copytree(everything, tmp_path / "journal"))


@pytest.fixture(scope="session")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed journal: rows in every table, deliveries in every state but dead, payloads that need overflow pages."""
    folder = tmp_path_factory.mktemp("everything") / "journal"
    with bench(folder) as at:
        at.register()
        first = at.checkpoint(b"last weights" * 1000)
        at.plan(at.upload(first))
        at.checkpoint(b"best weights" * 1000, role="best")
        at.checkpoint(b"final weights" * 1000, role="final")
        for number in range(EVENTS):
            at.event(
                "console_output", {"chunkId": number, "content": f"line {number} " * (1 + number % 700)}, str(number)
            )
        at.plan(*(at.message(body=f'{{"epoch": {number}, "text": "{"x" * 300}"}}') for number in range(60)))
        claims = at.claim(limit=20)
        at.record(
            *(Outcome(claim, "delivered", receipt={"received": True}) for claim in claims[:10]),
            Outcome(claims[10], "dead", error="400"),
            Outcome(claims[11], "retry", error="503", signals=(("cancelled", "by hand"),)),
        )
        at.journal.drop([claims[10].delivery_id])  # a dead letter would be trouble
    with closing(sqlite3.connect(folder / "journal.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return folder
