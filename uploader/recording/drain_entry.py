"""Runs a drain beside a training, detached from it; started by its path, see `background_drain.py`.

    python drain_entry.py SYS_PATH ARGUMENT...

It imports what the training would import, wherever it runs and whatever is installed: SYS_PATH is the training's own
path, as JSON.
"""

from __future__ import annotations

import json
import os
import runpy
import sys


def _main() -> None:
    if os.fork():  # the training has no child that it would have to wait for, or that would be ended with its children
        os._exit(0)
    os.nice(5)  # the training goes first
    _, path, *arguments = sys.argv
    sys.path[:] = json.loads(path)
    sys.argv = ["uploader", *arguments]
    runpy.run_module("uploader", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main()
