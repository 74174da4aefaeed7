"""What a run of any loop tells of itself when it starts: its configuration, and where it runs."""

from __future__ import annotations

import dataclasses
import os
import platform
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

from journal.encoding import plain
from uploader.live.guard import optional

_GIB = 1 << 30
_NOT_NAMES = {"": "run", "-c": "run", "-m": "run", "-": "run", "ipykernel_launcher": "notebook"}


def configuration(config: object) -> dict[str, Any]:
    """Return a configuration as plain values by name.

    Args:
        config: A mapping; a dataclass; or anything with attributes, such as what `argparse` returns. None for none.
    """
    if config is None:
        return {}
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        config = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    if not isinstance(config, Mapping):
        config = dict(vars(config)) if hasattr(config, "__dict__") else {"config": config}
    return dict(plain(config))


def script_name(path: str) -> str:
    """Return what a run is called by its script: the module's name, or the package's that was run as a whole.

    Args:
        path: The first of the program's arguments.
    """
    name = Path(path).stem
    if name == "__main__":
        name = Path(path).parent.name
    return _NOT_NAMES.get(name, name)


def start_facts(config: Mapping[str, Any], *, resumed: bool) -> dict[str, Any]:
    """Return what the start event tells of a run's configuration, in the platform's words.

    Arguments are text there. `epochs` is how many steps there are to be, if the configuration says so.

    Args:
        config: Plain values by name.
        resumed: Whether the run goes on.
    """
    arguments = {name: str(value) for name, value in _flat(config)}
    if resumed:
        arguments["resume"] = "True"
    total, device = config.get("epochs"), config.get("device")
    is_number = isinstance(total, int) and not isinstance(total, bool) and 0 < total < 1 << 53
    facts = {"epochs": total if is_number else None, "device": None if device is None else str(device)}
    return {"trainArgs": arguments, **{name: fact for name, fact in facts.items() if fact is not None}}


def run_environment() -> dict[str, Any]:
    """Return where a run runs, in the words of the platform's `training_started`; what cannot be found is left out."""
    found: dict[str, Any] = {}
    for what, part in {"software": _software, "machine": _machine, "git state": _git}.items():
        found.update(optional(f"the {what}", part) or {})
    return found


def _flat(config: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def _software() -> dict[str, Any]:
    return {
        "hostname": platform.node(),
        "os": platform.platform(),
        "pythonVersion": platform.python_version(),
        "pythonExecutable": sys.executable,
    }


def _machine() -> dict[str, Any]:
    return {
        "cpuCount": os.cpu_count() or 0,
        "command": " ".join(sys.argv),
        "totalRamGb": round(psutil.virtual_memory().total / _GIB, 1),
        "totalDiskGb": round(shutil.disk_usage("/").total / _GIB, 1),
    }


def _git() -> dict[str, Any]:
    """Return the branch and the commit of the folder that the process works in, read from its repository's files."""
    here = Path.cwd()
    folder = next((each / ".git" for each in (here, *here.parents) if (each / ".git").is_dir()), None)
    if folder is None:
        return {}
    head = (folder / "HEAD").read_text("utf-8").strip()
    reference = head.partition("ref: ")[2]
    commit = _commit(folder, reference) if reference else head
    facts = {"gitBranch": reference.removeprefix("refs/heads/"), "gitCommit": commit[:12]}
    return {name: fact for name, fact in facts.items() if fact}


def _commit(folder: Path, reference: str) -> str:
    if (folder / reference).is_file():
        return (folder / reference).read_text("utf-8").strip()
    packed = folder / "packed-refs"
    lines = packed.read_text("utf-8").splitlines() if packed.is_file() else []
    return next((line.partition(" ")[0] for line in lines if line.endswith(f" {reference}")), "")
