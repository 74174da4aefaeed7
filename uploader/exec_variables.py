"""What the environment says of trainings that are recorded by themselves; only this module sets and reads it.

| variable | meaning |
|---|---|
| `UPLOADER_EXEC_OPTIONS` | JSON of the arguments of `attach` for what is attached to by itself |
| `UPLOADER_EXEC_NOTES` | the file in which recorders note their runs, so that `exec` knows whether there were any |
| `UPLOADER_EXEC_JOURNAL` | set where an `exec` was told the journal by its option; see `is_default_elsewhere` |
| `UPLOADER_ENABLED` | `0` where a person wants none recorded; `exec`, which is told to record, takes it away |
| `PYTHONPATH` | begins with the folder whose `sitecustomize` every Python runs that starts |
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from uploader.errors import SettingsError
from uploader.switches import is_on

_PATHS = ("UPLOADER_JOURNAL", "UPLOADER_FALLBACK", "UPLOADER_MIRROR", "UPLOADER_PROOF_KEY")
_STARTUP = str(Path(__file__).with_name("startup"))


def export(variables: Mapping[str, str], options: Mapping[str, Any], notes: str | None) -> dict[str, str]:
    """Set the variables for the processes that this one starts, and return their environment.

    Args:
        variables: Settings that a person chose by an option, such as `UPLOADER_JOURNAL`.
        options: Arguments of `attach` that have no variable of their own, before those of an `exec` that this is below.
        notes: The file for notes; None leaves that of an `exec` that this one runs below.

    Raises:
        SettingsError: What the variables say of the other `exec` is of no `exec`.
    """
    options = {**attach_options(), **options}
    told = {"UPLOADER_EXEC_JOURNAL": "1"} if "UPLOADER_JOURNAL" in variables else {}
    os.environ.update({**variables, **told})
    os.environ.update({name: str(Path.cwd() / path) for name, path in _relative_paths()})
    os.environ.pop("UPLOADER_ENABLED", None)
    os.environ["UPLOADER_EXEC_OPTIONS"] = json.dumps(options)
    if notes is not None:
        os.environ["UPLOADER_EXEC_NOTES"] = notes
    before = os.environ.get("PYTHONPATH")  # in which an empty entry is the working directory
    search = before.split(os.pathsep) if before else []
    os.environ["PYTHONPATH"] = os.pathsep.join([_STARTUP, *(each for each in search if each != _STARTUP)])
    return dict(os.environ)


def _relative_paths() -> Iterator[tuple[str, str]]:
    """Yield the paths that are relative to this working directory: the processes below may have others."""
    for name in _PATHS:
        path = os.environ.get(name, "")
        if path and not path.startswith(("/", "~")) and "://" not in path:
            yield name, path


def says_anything(prefixes: tuple[str, ...] = ("UPLOADER_", "ULTRALYTICS_", "HUB_")) -> bool:
    """Return whether the environment has settings of ours or of a platform.

    Args:
        prefixes: What their names begin with.
    """
    return any(name.startswith(prefixes) and not name.startswith("UPLOADER_EXEC_") for name in os.environ)


def is_wanted() -> bool:
    """Return whether trainings that no script attaches to are to be recorded.

    Raises:
        SettingsError: The variable says something else.
    """
    return is_on(os.environ, "UPLOADER_ENABLED", default=True)


def attach_options() -> dict[str, Any]:
    """Return the arguments of `attach` that a person gave `exec`; none where there is no `exec`.

    Raises:
        SettingsError: The variable holds something else.
    """
    try:
        options = json.loads(os.environ.get("UPLOADER_EXEC_OPTIONS") or "{}")
    except ValueError:
        options = None
    if not isinstance(options, dict):
        raise SettingsError("UPLOADER_EXEC_OPTIONS: it is for `uploader exec` alone; unset it")
    return options


def note_recorded(run_id: str, notes: str | None = None) -> None:
    """Note that a session of a run has begun, if this runs below an `exec`; that may be gone, and its file with it.

    Args:
        run_id: The run.
        notes: The file for notes; None for that of the `exec` that this runs below.
    """
    if path := notes or notes_file():
        with contextlib.suppress(OSError):
            _append(path, f"{run_id}\n".encode())


def notes_file() -> str | None:
    """Return the file for notes of the `exec` that this runs below."""
    return os.environ.get("UPLOADER_EXEC_NOTES") or None


def _append(path: str, line: bytes) -> None:
    """Append a line in one piece, as other processes do the same; the file is not created."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    try:
        os.write(file, line)
    finally:
        os.close(file)
