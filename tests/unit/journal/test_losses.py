"""What was given up, in words."""

from __future__ import annotations

import pytest

from journal.losses import in_words


@pytest.mark.parametrize(
    ("what", "one"),
    [
        ("checkpoints", "1 checkpoint (1 kB)"),
        ("checkpoints that newer ones had replaced", "1 checkpoint that newer ones had replaced (1 kB)"),
        ("checkpoints not taken", "1 checkpoint not taken (1 kB)"),
        ("console chunks", "1 console chunk (1 kB)"),
        ("plots (pr_curve)", "1 plot (pr_curve) (1 kB)"),
        ("parts of results.metrics", "1 part of results.metrics (1 kB)"),
    ],
)
def test_one_thing_is_told_in_the_singular(what: str, one: str) -> None:
    assert in_words({"what": what, "count": 1, "bytes": 1000}) == one
    assert in_words({"what": what, "count": 2, "bytes": 1000}) == f"2 {what} (1 kB)"
