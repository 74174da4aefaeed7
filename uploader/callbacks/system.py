"""Samples how busy the machine is, with Ultralytics' own `SystemLogger`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection
from importlib.util import find_spec
from typing import Any


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
    """Samples CPU, memory, disks, network and the training's GPUs; rates are since the sample before.

    Args:
        gpus: NVML indices, or None for all.
    """

    def __init__(self, gpus: Collection[int] | None) -> None:
        self._gpus = gpus
        self._logger: Any = None

    def sample(self) -> dict[str, Any] | None:
        """Return the `system` of the platform's events, or None where the machine does not tell.

        Percentages 0-100, sizes in GB, rates in MB/s, temperatures in °C, power in W.
        """
        try:
            if self._logger is None:
                self._logger = _system_logger(self._gpus)
            metrics: dict[str, Any] = self._logger.get_metrics(rates=True)
        except Exception:  # noqa: BLE001 - containers hide counters, drivers fail; the payload then says null
            return None
        return {**metrics, "gpus": self._chosen(metrics.get("gpus") or {})}

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
