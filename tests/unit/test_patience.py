"""How long tests wait: for what must come, a minute at least; for what must not, less than a second.

A machine that is busy, or stops for seconds, then fails no test, and none passes because it did.
"""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
WAIT = re.compile(r"(?:timeout=|\.wait\(|\.join\(|wait_for\(.*, )(\d+(?:\.\d+)?)\b")


def hasty(text: str) -> list[str]:
    return [wait[0] for wait in WAIT.finditer(text) if 1 <= float(wait[1]) < 60]


def test_a_test_waits_long_for_what_must_come() -> None:
    others = set(TESTS.rglob("*.py")) - {Path(__file__)}
    found = {str(path.relative_to(TESTS)): hasty(path.read_text(encoding="utf-8")) for path in others}
    assert {path: waits for path, waits in found.items() if waits} == {}


def test_what_is_hasty() -> None:
    assert hasty("assert epoch.wait(30)") == [".wait(30"]
    assert hasty("assert changed.wait_for(lambda: seen(1, 2), 10)") == ["wait_for(lambda: seen(1, 2), 10"]
    assert hasty("get(url, timeout=5)\nthread.join(60)\nassert not second.wait(0.3)") == ["timeout=5"]
