"""Records trainings that upstream starts in child processes.

`tune()` and trainings on several data sets run upstream's command line for each, and a multi-GPU training runs workers.
What was attached in this process is not attached there, except where the callbacks are pickled for the workers (from
8.4.16x on). So the command is run by way of `child_entry.py`, which attaches first and changes nothing else.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import subprocess
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from uploader.callbacks.callback_lists import RecordedLists
from uploader.recording.journal_options import JournalOptions

if TYPE_CHECKING:
    from uploader.callbacks.trainer_callbacks import PlatformCallbacks

LAUNCHER = str(Path(__file__).with_name("child_entry.py"))
_SPAWNING_MODULES = {
    "train": ("ultralytics.engine.trainer",),
    "tune": ("ultralytics.engine.trainer", "ultralytics.engine.tuner"),
}
"""The modules of upstream that start such processes by `subprocess.run`, by the method that gets to them."""
_COMMAND_LINE = "ultralytics.cfg.__init__"
_WORKERS = frozenset({"torch.distributed.run", "torch.distributed.launch"})

_attached: ContextVar[PlatformCallbacks | None] = ContextVar("uploader_attached", default=None)
_log = logging.getLogger("ultralytics")


@contextlib.contextmanager
def recording_child_processes(callbacks: PlatformCallbacks, method: str = "train") -> Iterator[None]:
    """Record the trainings that this thread has upstream start in child processes inside the block.

    Args:
        callbacks: The callbacks that record.
        method: `train` or `tune`.
    """
    _wrap_subprocess(method)
    token = _attached.set(callbacks)
    try:
        yield
    finally:
        _attached.reset(token)


def attach_in_child(description: str) -> None:
    """Record the trainings of this child process.

    Args:
        description: Describes the callbacks that were attached in the parent.
    """
    from ultralytics.utils import callbacks as upstream

    from uploader.callbacks.trainer_callbacks import PlatformCallbacks

    content = json.loads(description)
    routes = tuple((str(platform), str(url)) for platform, url in content["options"].pop("routes"))
    options = JournalOptions(**content.pop("options"), routes=routes)
    callbacks = PlatformCallbacks(options, **content)
    defaults = upstream.get_default_callbacks
    upstream.get_default_callbacks = lambda: RecordedLists(defaults(), callbacks)
    _wrap_subprocess("train")
    _attached.set(callbacks)


def recorded_command(command: Sequence[str], description: str) -> list[str] | None:
    """Return a command that does what `command` does and records it; None when that is no training of upstream's.

    Args:
        command: The command that upstream runs.
        description: Describes the callbacks; holds no secret.
    """
    if _COMMAND_LINE in command[1:3]:
        return [command[0], LAUNCHER, description, *command[1:]]
    if not _WORKERS.isdisjoint(command):
        return [*command[:-1], LAUNCHER, description, command[-1]]
    return None


class _Subprocess(ModuleType):
    """Replaces the module `subprocess` in upstream's modules."""

    def __getattr__(self, name: str) -> Any:
        return getattr(subprocess, name)

    def run(self, command: Any, *args: Any, **options: Any) -> Any:
        """Run upstream's command, or one that does the same and records it."""
        ours = _recorded(command)
        try:
            return subprocess.run(ours or command, *args, **options)  # noqa: PLW1510 - as upstream has it
        except subprocess.CalledProcessError as error:
            error.cmd = command
            raise


def _recorded(command: Any) -> list[str] | None:
    callbacks = _attached.get()
    if callbacks is None or _carries_callbacks(command):
        return None
    known = [*map(str, command)] if isinstance(command, (list, tuple)) else []
    ours = recorded_command(known, json.dumps(asdict(callbacks)))
    if ours is None:
        _log.warning("Uploader: a training that is started in another process is not recorded: its command is unknown")
    return ours


def _carries_callbacks(command: Any) -> bool:
    """Return whether upstream has pickled the trainer's callbacks beside the file that the workers run."""
    script = Path(str(command[-1]) if command else "")
    return script.suffix == ".py" and script.with_suffix(".pt").is_file()


def _wrap_subprocess(method: str) -> None:
    for name in _SPAWNING_MODULES[method]:
        with contextlib.suppress(Exception):  # a module that cannot be imported starts no processes
            module = importlib.import_module(name)
            if getattr(module, "subprocess", None) is subprocess:
                vars(module)["subprocess"] = _Subprocess("subprocess")
