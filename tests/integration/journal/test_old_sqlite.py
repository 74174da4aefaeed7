"""SQLite 3.26, which clusters have: nothing newer is asked of it, and one that is older still is named."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

import journal
from journal.doctor import examine
from journal.errors import JournalUnwritable
from journal.storage import database
from uploader.recording.journal_options import JournalOptions
from uploader.recording.session_writer import SessionWriter, new_run

ROOT = Path(journal.__file__).parent
# What came later, by the version: https://sqlite.org/changes.html
_NEWER = {
    "3.27 VACUUM INTO": r"VACUUM INTO",
    "3.30 FILTER on aggregates": r"\bFILTER \(",
    "3.30 NULLS FIRST, LAST": r"NULLS (FIRST|LAST)",
    "3.31 generated columns": r"GENERATED ALWAYS|\bAS \([^)]*\) (STORED|VIRTUAL)",
    "3.32 iif": r"\biif\(",
    "3.33 sqlite_schema": r"\bsqlite_schema\b",
    "3.35 RETURNING": r"\bRETURNING\b",
    "3.35 DROP COLUMN": r"DROP COLUMN",
    "3.35 MATERIALIZED": r"\bAS (NOT )?MATERIALIZED",
    "3.35 UPSERT without a target": r"ON CONFLICT DO UPDATE",
    "3.37 STRICT": r"\) STRICT",
    "3.38 ->": r"->>? ?'\$",
    "3.39 joins": r"(RIGHT|FULL) (OUTER )?JOIN",
}


@pytest.mark.parametrize("name", _NEWER)
def test_nothing_newer_is_asked_of_it(name: str) -> None:
    pattern = re.compile(_NEWER[name])
    files = [path for path in (*ROOT.rglob("*.py"), *ROOT.rglob("*.sql")) if path.parent.name != "postgres"]
    said = [path.name for path in files if pattern.search(_without_words(path.read_text("utf-8")))]
    assert said == []


def _without_words(source: str) -> str:
    """Leave comments and the one line of the engine out that tells what is not asked."""
    lines = (line for line in source.splitlines() if "It knows no" not in line)
    return "\n".join(line.partition(" #")[0] for line in lines if not line.lstrip().startswith(("#", "--")))


def test_an_older_one_is_named_wherever_the_journal_is_used(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("UPLOADER_FALLBACK", str(tmp_path / "fallback"))
    journal.open(folder).close()
    monkeypatch.setattr(database, "OLDEST_SQLITE", (9, 26, 0))
    told = rf"SQLite {re.escape(sqlite3.sqlite_version)}, which this Python is linked with; 9.26 or later is needed"
    with pytest.raises(JournalUnwritable, match=told):
        journal.open(folder)
    assert "sqlite-too-old" in {finding.code for finding in examine(folder, fallback_folders=[]).findings}
    session = SessionWriter(
        JournalOptions(journal=str(folder)), new_run("r", project=None, name="run", save_dir=tmp_path)
    )
    session.event("epoch_end", {"epoch": 0}, "0")
    session.close("complete")
    assert re.search(told, caplog.text)
