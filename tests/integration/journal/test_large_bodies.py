"""What SQLite needs to report on large deliveries does not grow with how many there are."""

from __future__ import annotations

from support.journals import Bench, finish, python

BODY = "x" * (2 << 20)
COUNT = 40

# SQLite's own limit for the whole process: beyond it, it fails for want of memory.
LIMITED = """
import sqlite3, sys
import journal
sqlite3.connect(":memory:").execute("PRAGMA hard_heap_limit=40000000")
with journal.open(sys.argv[1]) as opened:
    print(opened.report()[0].targets[0].pending_bytes)
"""


def test_a_report_counts_their_bytes_without_holding_them(at: Bench) -> None:
    at.plan(*(at.message(body=BODY) for _ in range(COUNT)))
    assert finish([python(LIMITED, at.journal.path)]) == [f"{COUNT * len(BODY)}\n"]
