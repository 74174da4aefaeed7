"""Journals with common runs are drained one after the other; all others at once."""

from __future__ import annotations

import pytest

from uploader.delivery.several_journals import sharing


@pytest.mark.parametrize(
    ("held", "groups"),
    [
        (["a", "b", "c"], [[0], [1], [2]]),
        (["a", "b", "a"], [[0, 2], [1]]),
        (["a", "b", "ab"], [[0, 1, 2]]),
        (["ab", "bc", "cd", "e"], [[0, 1, 2], [3]]),
        (["", "", "a"], [[0], [1], [2]]),
    ],
)
def test_journals_are_grouped_by_their_runs(held: list[str], groups: list[list[int]]) -> None:
    assert sharing([frozenset(runs) for runs in held]) == groups
