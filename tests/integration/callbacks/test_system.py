from __future__ import annotations

from typing import Any

import pytest

from uploader.callbacks import system
from uploader.callbacks.system import SystemSampler

pytestmark = pytest.mark.usefixtures("ultralytics")


@pytest.fixture
def older(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put a logger in upstream's place that, as in 8.3, knows no options, reports all GPUs and installs pynvml."""
    from ultralytics.utils import logger

    class Older:
        def __init__(self) -> None:
            self.has_nvidia = self._init_nvidia()

        def _init_nvidia(self) -> bool:
            self.installed = True
            return True

        def get_metrics(self, rates: bool = False) -> dict[str, Any]:
            return {"cpu": 5.0, "gpus": {"0": {}, "1": {}} if self.has_nvidia else {}}

    monkeypatch.setattr(logger, "SystemLogger", Older)
    return Older


def test_a_sample_tells_how_busy_the_machine_is() -> None:
    sample = SystemSampler([]).sample()
    assert sample is not None
    assert sample.keys() >= {"cpu", "ram", "disk", "disk_io", "network", "gpus"}
    assert sample["gpus"] == {}


@pytest.mark.parametrize(("gpus", "told"), [(None, {"0", "1"}), ([1], {"1"}), ([1, 7], {"1"}), ([], set())])
def test_an_older_version_tells_of_the_trainings_gpus_only(
    older: Any, monkeypatch: pytest.MonkeyPatch, gpus: list[int] | None, told: set[str]
) -> None:
    monkeypatch.setattr(system, "find_spec", lambda name: object())
    sample = SystemSampler(gpus).sample()
    assert sample is not None
    assert sample["gpus"].keys() == told


def test_an_older_version_is_kept_from_installing_anything(older: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "find_spec", lambda name: None)
    sampler = SystemSampler(None)
    assert sampler.sample() == {"cpu": 5.0, "gpus": {}}
    assert not hasattr(sampler._logger, "installed")


def test_a_machine_that_does_not_tell_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    import psutil

    monkeypatch.setattr(psutil, "disk_io_counters", lambda: None)  # as in some containers
    assert SystemSampler([]).sample() is None
