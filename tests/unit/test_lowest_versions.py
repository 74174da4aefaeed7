"""CI runs `scripts/test-versions lowest-whole` with what `pyproject.toml` declares, without leaving anything out."""

from __future__ import annotations

import subprocess
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

pytestmark = pytest.mark.repository

ROOT = Path(__file__).parents[2]


def test_the_lowest_versions_are_those_of_the_bounds() -> None:
    listed = subprocess.run(
        ["bash", "-c", ". scripts/lib.sh && lowest_versions"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    ours = [Requirement(each) for each in requires("offline-uploader") or []]
    meant = [each for each in ours if each.marker is None or each.marker.evaluate({"extra": "serve"})]
    lowest = ((each.name, bound.version) for each in meant for bound in each.specifier if bound.operator == ">=")
    assert sorted(listed) == sorted(f"{name}=={version}" for name, version in lowest)


def test_ci_runs_the_integration_tests_with_them() -> None:
    assert "step scripts/test-versions\n" in (ROOT / ".ci" / "run").read_text()
    script = (ROOT / "scripts" / "test-versions").read_text()
    assert "set -- 3.13 lowest-whole\n" in script
    assert '[ "$version" != lowest-whole ] || folders+=(tests/integration)\n' in script
