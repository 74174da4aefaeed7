"""Samples how busy the machine is, with Ultralytics' own `SystemLogger`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection
from importlib.util import find_spec
from typing import Any

from uploader.live.machine_sampler import EVERY_SECONDS, MachineSampler, Meter


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


class SystemSampler(MachineSampler):
    """Samples CPU, memory, disks, network and the training's GPUs, as upstream's `SystemLogger` measures them.

    Args:
        gpus: NVML indices, or None for all.
        every: Seconds from one sample to the next, so the age of a sample at most, on a machine that answers.
        first_wait: Seconds that the first one is waited for at most.
    """

    def __init__(self, gpus: Collection[int] | None, every: float = EVERY_SECONDS, first_wait: float = 1.0) -> None:
        super().__init__(lambda: _upstream_meter(gpus), every, first_wait)


def _upstream_meter(gpus: Collection[int] | None) -> Meter:
    logger = _system_logger(gpus)

    def measure() -> dict[str, Any]:
        metrics: dict[str, Any] = logger.get_metrics(rates=True)
        return {**metrics, "gpus": _chosen(metrics.get("gpus") or {}, gpus)}

    return measure


def _chosen(metrics: dict[str, Any], gpus: Collection[int] | None) -> dict[str, Any]:
    """Return the chosen GPUs' metrics: versions without `gpus=` report every GPU."""
    return metrics if gpus is None else {key: metrics[key] for key in map(str, gpus) if key in metrics}


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
