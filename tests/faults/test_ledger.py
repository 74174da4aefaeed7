"""The judge of the fault suites must see what they are there to find."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from soaks.ledger import Acknowledged, Tally, inspect
from soaks.workload import tour


@pytest.fixture
def acknowledged(tmp_path: Path) -> list[Acknowledged]:
    """What the tour was told, of the journal that it left in `tmp_path / "journal"`."""
    reports: list[Acknowledged] = []
    tour(tmp_path / "journal", reports.append)
    return reports


def change(tmp_path: Path, statement: str, *values: object) -> None:
    connection = sqlite3.connect(tmp_path / "journal" / "journal.db")
    with connection:
        connection.execute(statement, values)
    connection.close()


def newest_blob(tmp_path: Path) -> Path:
    connection = sqlite3.connect(tmp_path / "journal" / "journal.db")
    (payload,) = connection.execute("SELECT payload FROM events WHERE key = 'final'").fetchone()
    connection.close()
    return tmp_path / "journal" / "blobs" / json.loads(payload)["sha256"]


def test_a_whole_journal_is_whole(tmp_path: Path, acknowledged: list[Acknowledged]) -> None:
    assert sorted(one.is_blob for one in acknowledged) == [False] * 4 + [True] * 3
    tally = inspect(tmp_path / "journal", acknowledged)
    assert (tally.lost, tally.damaged) == (0, 0)


@pytest.mark.parametrize(
    ("figure", "harm"),
    [
        ("lost", lambda tmp: change(tmp, "DELETE FROM events WHERE id = (SELECT max(id) FROM events)")),
        ("lost", lambda tmp: (tmp / "journal" / "journal.db").unlink()),
        ("holes", lambda tmp: change(tmp, "DELETE FROM events WHERE id = 1")),
        ("torn", lambda tmp: change(tmp, "UPDATE events SET payload = substr(payload, 1, 20) WHERE id = 1")),
        ("blobs_lost", lambda tmp: newest_blob(tmp).unlink()),
        ("blobs_lost", lambda tmp: change(tmp, "DELETE FROM events WHERE kind = 'given_up'")),
        ("blobs_lost", lambda tmp: newest_blob(tmp).write_bytes(b"half")),
        ("corrupt", lambda tmp: (tmp / "journal" / "journal.db").write_bytes(b"no database" * 1000)),
        ("corrupt", lambda tmp: change(tmp, "UPDATE events SET session_id = 99 WHERE id = 1")),
    ],
)
def test_harm_is_seen(
    tmp_path: Path, acknowledged: list[Acknowledged], figure: str, harm: Callable[[Path], object]
) -> None:
    harm(tmp_path)
    tally: Tally = inspect(tmp_path / "journal", acknowledged)
    assert getattr(tally, figure) > 0, tally
    assert tally.notes or figure == "lost"
