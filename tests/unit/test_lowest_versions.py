"""`scripts/test-versions lowest` runs with what `pyproject.toml` declares, without leaving anything out."""

from __future__ import annotations

import subprocess
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]


def test_the_lowest_versions_are_those_of_the_bounds() -> None:
    listed = subprocess.run(
        ["bash", "-c", ". scripts/lib.sh && lowest_versions"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    ours = [Requirement(each) for each in requires("offline-uploader") or []]
    meant = [each for each in ours if each.marker is None or each.marker.evaluate({"extra": "serve"})]
    assert sorted(listed) == sorted(f"{each.name}{str(each.specifier).replace('>=', '==')}" for each in meant)
