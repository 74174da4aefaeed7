"""A share of `scripts/equivalence`: upstream's streaming and ours leave the same, whatever happens to a training."""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from equivalences.__main__ import FAULT, outcome_of
from equivalences.compared import differences
from equivalences.situations import CHECKED, SITUATIONS

streams = pytest.mark.skipif(sys.version_info < (3, 11), reason="upstream streams with its SDK, from Python 3.11")


@streams
@pytest.mark.training
@pytest.mark.parametrize("name", CHECKED)
def test_a_situation_leaves_the_same(name: str, tmp_path: Path) -> None:
    outcome, words = outcome_of(SITUATIONS[name], tmp_path, None, version("ultralytics"))
    assert outcome != FAULT, words


MODEL = {
    "id": "a",
    "status": "completed",
    "environment": {"os": "Linux"},
    "trainResults": [{"epoch": 0, "metrics": {"loss": 1.0}, "system": {"cpu": 1}, "modelInfo": {"speedMs": 1}}],
    "consoleChunks": [{"content": "[2026-11-27 00:00:00] Freezing layer\n[2026-11-27 00:00:01] Uploader: recording"}],
}


@pytest.mark.parametrize(
    ("changes", "places"),
    [
        ({}, []),
        ({"id": "b", "environment": {"os": "Linux", "uploaderRun": "r"}}, []),
        ({"status": "running"}, ["status"]),
        ({"environment": {"os": "Linux", "more": 1}}, ["environment.more"]),
        ({"environment": {}}, ["environment.os"]),
        ({"trainResults": []}, ["trainResults"]),
        ({"trainResults": [*MODEL["trainResults"], *MODEL["trainResults"]]}, ["trainResults"]),
        ({"trainResults": [{**MODEL["trainResults"][0], "metrics": {"loss": 1.5}}]}, ["trainResults.0.metrics.loss"]),
        ({"trainResults": [{**MODEL["trainResults"][0], "system": {"cpu": 9}, "modelInfo": {"speedMs": 7}}]}, []),
        ({"trainResults": [{**MODEL["trainResults"][0], "system": None}]}, ["trainResults.0.system"]),
        ({"consoleChunks": [{"content": "[2026-11-27 00:09:00] \x1b[1mFreezing layer\x1b[0m"}]}, []),
        ({"consoleChunks": [{"content": ""}]}, ["consoleChunks"]),
    ],
)
def test_the_comparison_sees_what_differs(changes: dict[str, object], places: list[str]) -> None:
    assert list(differences([MODEL], [{**MODEL, **changes}])) == places


def test_another_number_of_models_is_a_difference() -> None:
    assert differences([MODEL], [MODEL, MODEL]) == {"models": "1 and 2"}
