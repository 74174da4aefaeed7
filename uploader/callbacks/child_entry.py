"""Runs one of upstream's trainings in a child process and records it; started by its path, see `child_processes.py`.

    python child_entry.py DESCRIPTION -m MODULE ARGUMENT...
    python child_entry.py DESCRIPTION FILE

The module or file runs as if it had been started directly; nothing here may prevent that.
"""

from __future__ import annotations

# `pathlib` is not imported for it
# ruff: noqa: PTH100, PTH109, PTH120
import os
import runpy
import sys


def _main() -> None:
    here = os.path.dirname(os.path.abspath(__file__))
    _, description, *command = sys.argv
    is_module = command[0] == "-m"
    sys.argv = command[1:] if is_module else command
    if sys.path and os.path.abspath(sys.path[0]) == here:  # not where Python was told to leave it out
        sys.path[0] = os.getcwd() if is_module else os.path.dirname(os.path.abspath(command[0]))
    _attach(os.path.dirname(os.path.dirname(here)), description)
    if is_module:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(sys.argv[0], run_name="__main__")


def _attach(root: str, description: str) -> None:
    """Attach in this process; our folder is first on the path only meanwhile, then last."""
    sys.path.insert(0, root)
    try:
        from uploader.callbacks.child_processes import attach_in_child

        attach_in_child(description)
    except Exception as error:  # noqa: BLE001 - the training runs in any case
        print(f"Uploader: this training is not recorded ({type(error).__name__}: {error})", file=sys.stderr)  # noqa: T201
    sys.path.remove(root)
    if root not in sys.path:
        sys.path.append(root)


if __name__ == "__main__":
    _main()
