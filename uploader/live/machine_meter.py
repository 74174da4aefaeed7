"""Measures how busy the machine is, for runs of any framework; in the form of the platform's events."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

import psutil

from uploader.live.machine_sampler import Meter

_GB = 1e9
_MB = 1e6
_NOT_DISKS = frozenset({"squashfs", "tmpfs", "devtmpfs", "overlay"})


def open_meter() -> Meter:
    """Return what measures CPU, memory, disks, network and NVIDIA's GPUs, as far as the machine tells."""
    psutil.cpu_percent()  # the first call returns nothing of use
    gpus = _gpu_meter()
    before = _counters()

    def measure() -> dict[str, Any]:
        nonlocal before
        now, earlier = _counters(), before
        before = now
        read, written, received, sent = _rates(earlier, now)
        return {
            "cpu": psutil.cpu_percent(),
            "ram": psutil.virtual_memory().percent,
            "disk": _disks(),
            "disk_io": {"read_mbs": read, "write_mbs": written},
            "network": {"recv_mbs": received, "sent_mbs": sent},
            "gpus": gpus(),
        }

    return measure


Counters = tuple[float, tuple[int, int, int, int]]
"""A time, and how many bytes were read, written, received and sent by then."""


def _counters() -> Counters:
    disk, network = psutil.disk_io_counters(), psutil.net_io_counters()
    of_disk = (disk.read_bytes, disk.write_bytes) if disk else (0, 0)
    of_network = (network.bytes_recv, network.bytes_sent) if network else (0, 0)
    return time.monotonic(), (*of_disk, *of_network)


def _rates(before: Counters, now: Counters) -> list[float]:
    """Return MB/s of each counter; 0 of one that went back, as when a device was removed."""
    seconds = max(now[0] - before[0], 1e-3)
    return [round(max(0, new - old) / seconds / _MB, 3) for old, new in zip(before[1], now[1], strict=True)]


def _disks() -> list[dict[str, Any]]:
    mounts = {
        part.device: part.mountpoint for part in reversed(psutil.disk_partitions()) if part.fstype not in _NOT_DISKS
    }
    used = ((mount, psutil.disk_usage(mount)) for mount in sorted({"/", *mounts.values()}))
    return [
        {"mount": mount, "used_gb": round(disk.used / _GB, 3), "total_gb": round(disk.total / _GB, 3)}
        for mount, disk in used
    ]


def _gpu_meter() -> Callable[[], dict[str, Any]]:
    """Return what measures the GPUs, by the library of NVIDIA's driver where that is installed."""
    try:
        nvml: Any = import_module("pynvml")
        nvml.nvmlInit()
        handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
    except Exception:  # noqa: BLE001 - there is no such library, no driver or no GPU
        return dict
    return lambda: {str(index): _gpu(nvml, handle) for index, handle in enumerate(handles)}


def _gpu(nvml: Any, handle: Any) -> dict[str, Any]:
    load, memory = nvml.nvmlDeviceGetUtilizationRates(handle), nvml.nvmlDeviceGetMemoryInfo(handle)
    return {
        "usage": load.gpu,
        "memory": round(100 * memory.used / memory.total, 1),
        "temp": nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU),
        "power": round(nvml.nvmlDeviceGetPowerUsage(handle) / 1000),
    }
