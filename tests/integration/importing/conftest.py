"""A journal that folders are imported into, by the command."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from support.journals import rows

from uploader.__main__ import main


@dataclass(frozen=True)
class Imports:
    """Imports, and what the journal then has."""

    journal: Path

    def __call__(self, *arguments: object, code: int = 0) -> list[Mapping[str, Any]]:
        """Import folders; return what became of each run."""
        command = ["import", *map(str, arguments), "--json", "--journal", str(self.journal)]
        done = CliRunner().invoke(main, command, catch_exceptions=False)
        assert done.exit_code == code, done.output
        runs: list[Mapping[str, Any]] = json.loads(done.stdout).get("runs", [])
        return runs

    def rows(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        return rows(self.journal, query, *arguments)

    def events(self, kind: str) -> list[Mapping[str, Any]]:
        """Return the payloads of a kind, in the order of the run."""
        query = """SELECT e.payload FROM events e JOIN sessions s ON s.id = e.session_id
                   WHERE e.kind = ? ORDER BY s.generation, e.seq"""
        return [json.loads(payload) for (payload,) in self.rows(query, kind)]

    def everything(self) -> Sequence[tuple[Any, ...]]:
        """Return all that is recorded, so that two states of the journal can be compared."""
        tables = ("runs", "sessions", "events", "blobs")
        return [row for table in tables for row in self.rows(f"SELECT * FROM {table} ORDER BY 1")]


@pytest.fixture
def imports(tmp_path: Path) -> Imports:
    return Imports(tmp_path / "journal")
