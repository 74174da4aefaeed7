"""Samples how busy the machine is, with Ultralytics' own `SystemLogger`."""

from __future__ import annotations

import inspect
import re
import threading
import time
from collections.abc import Collection
from importlib.util import find_spec
from typing import Any

EVERY_SECONDS = 5.0
_STALE = 3
"""A sample is no longer told after so many times the time between two."""
_CLOSE_SECONDS = 1.0


def training_gpus(device_type: str, device_index: int | None, requested: str, visible: str) -> list[int] | None:
    """Return the NVML indices of the GPUs that a training uses, so that a shared machine's others are left out.

    Torch counts the GPUs that `CUDA_VISIBLE_DEVICES` shows; NVML counts those of the machine. Older trainers rewrite
    `device` into the machine's numbers, known by lying beyond what is visible.

    Args:
        device_type: Type of the trainer's torch device.
        device_index: Its index, None for the first.
        requested: The training's `device` argument as text, e.g. `0,1`.
        visible: The value of `CUDA_VISIBLE_DEVICES`, empty when it is not set.

    Returns:
        An empty list for a training that uses no CUDA; None (every GPU) when the visible ones are named by uuid.
    """
    if device_type != "cuda":
        return []
    indices = [int(number) for number in re.findall(r"\d+", requested)] or [device_index or 0]
    shown = [item for item in visible.replace(" ", "").split(",") if item]
    if not shown or max(indices) >= len(shown):
        return indices
    chosen = [shown[index] for index in indices]
    return [int(item) for item in chosen] if all(item.isdigit() for item in chosen) else None


class SystemSampler:
    """Samples CPU, memory, disks, network and the training's GPUs again and again, in a thread of its own.

    The training takes the last sample and waits for none: a driver takes milliseconds, and a network file system that
    does not answer would hold it up for as long. Rates are since the sample before.

    Args:
        gpus: NVML indices, or None for all.
        every: Seconds from one sample to the next, so the age of a sample at most, on a machine that answers.
        first_wait: Seconds that the first one is waited for at most.
    """

    def __init__(self, gpus: Collection[int] | None, every: float = EVERY_SECONDS, first_wait: float = 1.0) -> None:
        self._gpus = gpus
        self._every = every
        self._first_wait = first_wait
        self._taken: tuple[float, dict[str, Any] | None] = (0.0, None)
        self._has_first = threading.Event()
        self._is_closing = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Start the thread, if it was not started before."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="uploader-system", daemon=True)
            self._thread.start()

    def sample(self) -> dict[str, Any] | None:
        """Return the `system` of the platform's events, or None where the machine does not tell, or not in time.

        Percentages 0-100, sizes in GB, rates in MB/s, temperatures in °C, power in W.
        """
        self.begin()
        if not self._has_first.wait(self._first_wait):
            self._first_wait = 0.0
        taken_at, metrics = self._taken
        return metrics if time.monotonic() - taken_at < _STALE * self._every else None

    def close(self) -> None:
        """End the thread; one that hangs is left behind."""
        self._is_closing.set()
        if self._thread is not None:
            self._thread.join(_CLOSE_SECONDS)

    def _work(self) -> None:
        logger = None
        while not self._is_closing.is_set():
            try:
                logger = logger or _system_logger(self._gpus)
                metrics: dict[str, Any] = logger.get_metrics(rates=True)
                self._taken = time.monotonic(), {**metrics, "gpus": self._chosen(metrics.get("gpus") or {})}
            except Exception:  # noqa: BLE001 - containers hide counters, drivers fail; the payload then says null
                self._taken = 0.0, None
            self._has_first.set()
            self._is_closing.wait(self._every)

    def _chosen(self, gpus: dict[str, Any]) -> dict[str, Any]:
        """Return the chosen GPUs' metrics: versions without `gpus=` report every GPU."""
        return gpus if self._gpus is None else {key: gpus[key] for key in map(str, self._gpus) if key in gpus}


def _system_logger(gpus: Collection[int] | None) -> Any:
    from ultralytics.utils.logger import SystemLogger

    parameters = inspect.signature(SystemLogger).parameters
    options = {"all_drives": True, "gpus": None if gpus is None else list(gpus)}
    supported = {name: value for name, value in options.items() if name in parameters}
    if "gpus" in parameters or find_spec("pynvml"):
        return SystemLogger(**supported)

    class WithoutNvidia(SystemLogger):  # type: ignore[misc]
        """Older versions install a missing pynvml with pip, which reaches for the network."""

        def _init_nvidia(self) -> bool:
            return False

    return WithoutNvidia(**supported)
