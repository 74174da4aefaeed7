from __future__ import annotations

import re
import sys

import pytest

from uploader.callbacks import environment


@pytest.mark.upstream
def test_an_environment_tells_versions_machine_and_command() -> None:
    found = environment.describe_environment()
    assert re.fullmatch(r"8\.\d+\.\d+", found["ultralyticsVersion"])
    assert found["pythonVersion"] == sys.version.split()[0]
    assert found["command"] == " ".join(sys.argv)
    assert found["totalRamGb"] > 0


@pytest.mark.upstream
def test_a_part_that_fails_costs_only_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    from ultralytics.utils import torch_utils

    monkeypatch.delattr(torch_utils, "get_cpu_info")
    found = environment.describe_environment()
    assert "cpu" not in found
    assert "ultralyticsVersion" in found


@pytest.mark.upstream
def test_a_git_repository_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    import ultralytics.utils

    class Repository:
        is_repo = True
        origin = "https://example.com/project.git"
        branch = "main"
        commit = "0123456789abcdef"  # 8.3 has no message

    monkeypatch.setattr(ultralytics.utils, "GIT", Repository())
    assert environment._git() == {
        "gitRepository": "https://example.com/project.git",
        "gitBranch": "main",
        "gitCommit": "0123456789ab",
    }
