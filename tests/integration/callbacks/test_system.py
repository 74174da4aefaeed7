from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.threads import left_threads

from uploader.callbacks import system
from uploader.callbacks.system import SystemSampler

pytestmark = pytest.mark.usefixtures("ultralytics")


@pytest.fixture
def sampling() -> Iterator[Callable[..., SystemSampler]]:
    """Make samplers that are closed afterwards, and wait for their first sample as long as it takes."""
    made: list[SystemSampler] = []

    def make(gpus: list[int] | None, every: float = 60.0, first_wait: float = 60.0) -> SystemSampler:
        made.append(SystemSampler(gpus, every, first_wait))
        return made[-1]

    yield make
    for sampler in made:
        sampler.close()


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


def test_a_sample_tells_how_busy_the_machine_is(sampling: Callable[..., SystemSampler]) -> None:
    sample = sampling([]).sample()
    assert sample is not None
    assert sample.keys() >= {"cpu", "ram", "disk", "disk_io", "network", "gpus"}
    assert sample["gpus"] == {}


@pytest.mark.parametrize(("gpus", "told"), [(None, {"0", "1"}), ([1], {"1"}), ([1, 7], {"1"}), ([], set())])
def test_an_older_version_tells_of_the_trainings_gpus_only(
    older: Any,
    monkeypatch: pytest.MonkeyPatch,
    sampling: Callable[..., SystemSampler],
    gpus: list[int] | None,
    told: set[str],
) -> None:
    monkeypatch.setattr(system, "find_spec", lambda name: object())
    sample = sampling(gpus).sample()
    assert sample is not None
    assert sample["gpus"].keys() == told


def test_an_older_version_is_kept_from_installing_anything(
    older: Any, monkeypatch: pytest.MonkeyPatch, sampling: Callable[..., SystemSampler]
) -> None:
    monkeypatch.setattr(system, "find_spec", lambda name: None)
    monkeypatch.setattr(older, "_init_nvidia", lambda self: pytest.fail("it would install pynvml"))
    assert sampling(None).sample() == {"cpu": 5.0, "gpus": {}}


def test_a_machine_that_does_not_tell_is_no_error(
    monkeypatch: pytest.MonkeyPatch, sampling: Callable[..., SystemSampler]
) -> None:
    import psutil

    monkeypatch.setattr(psutil, "disk_io_counters", lambda: None)  # as in some containers
    assert sampling([]).sample() is None


@pytest.fixture
def hanging(older: Any) -> Iterator[threading.Event]:
    """Let samples after the first one hang until the event is set, as on a dead network file system."""
    may_answer, has_answered = threading.Event(), []

    def get_metrics(self: Any, rates: bool = False) -> dict[str, Any]:
        has_answered.append(1)
        assert len(has_answered) == 1 or may_answer.wait(60)
        return {"cpu": float(len(has_answered)), "gpus": {}}

    older.get_metrics = get_metrics
    yield may_answer
    may_answer.set()


def test_a_machine_that_answers_late_holds_up_nothing(
    hanging: threading.Event, sampling: Callable[..., SystemSampler]
) -> None:
    sampler = sampling(None, every=0.01)
    first = sampler.sample()
    while (now := sampler.sample()) is not None:  # until the first one is too old to be told
        assert now == first == {"cpu": 1.0, "gpus": {}}
    hanging.set()
    while (now := sampler.sample()) is None:
        pass
    assert now["cpu"] > 1


def test_a_first_sample_that_takes_too_long_is_not_waited_for(
    older: Any, sampling: Callable[..., SystemSampler]
) -> None:
    may_answer = threading.Event()
    older.get_metrics = lambda self, rates=False: may_answer.wait(60) and {"cpu": 1.0, "gpus": {}}
    assert sampling(None, first_wait=0.01).sample() is None
    may_answer.set()


def test_the_thread_ends_with_the_training(sampling: Callable[..., SystemSampler]) -> None:
    sampler = sampling([])
    sampler.sample()
    sampler.close()
    assert left_threads("uploader-system") == []
