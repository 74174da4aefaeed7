"""Where a training runs: versions, machine, command line, git state."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import sys
from typing import Any

from uploader.live.guard import optional

_GIB = 1 << 30


def describe_environment() -> dict[str, Any]:
    """Return the `environment` of the platform's `training_started` event.

    Sizes are in GiB, rounded to one decimal. A part that cannot be found out is left out.
    """
    parts = {"software": _software, "machine": _machine, "git state": _git, "GPUs": _gpus}
    found: dict[str, Any] = {}
    for what, part in parts.items():
        found.update(optional(f"the {what}", part) or {})
    return found


def _software() -> dict[str, Any]:
    from ultralytics import __version__
    from ultralytics.utils import ENVIRONMENT

    return {
        "ultralyticsVersion": __version__,
        "hostname": socket.gethostname(),
        "os": platform.platform(),
        "environment": ENVIRONMENT,
        "pythonVersion": platform.python_version(),
        "pythonExecutable": sys.executable,
    }


def _machine() -> dict[str, Any]:
    import psutil
    from ultralytics.utils.torch_utils import get_cpu_info

    return {
        "cpuCount": os.cpu_count() or 0,
        "cpu": get_cpu_info(),
        "command": " ".join(sys.argv),
        "totalRamGb": round(psutil.virtual_memory().total / _GIB, 1),
        "totalDiskGb": round(shutil.disk_usage("/").total / _GIB, 1),
    }


def _git() -> dict[str, Any]:
    from ultralytics.utils import GIT

    if not GIT.is_repo:
        return {}
    facts = {
        "gitRepository": GIT.origin,
        "gitBranch": GIT.branch,
        "gitCommit": (GIT.commit or "")[:12],
        "gitCommitMessage": getattr(GIT, "message", None),  # not in 8.3
    }
    return {name: fact for name, fact in facts.items() if fact}


def _gpus() -> dict[str, Any]:
    import torch
    from ultralytics.utils.torch_utils import get_gpu_info

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return {"gpuCount": count, "gpuType": get_gpu_info(0)} if count else {}
