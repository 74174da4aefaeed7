"""Train a model of each task, recorded; import its folder, as if nobody had; compare what the two journals have.

Pictures are compared with the folder: a recording has none of them, but their data.

python -m imports [TASK...]
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from imports.comparing import differences, missing_pictures
from imports.task_data import MODELS, data_for

ROOT = Path(__file__).parents[2]


def main() -> None:
    tasks = sys.argv[1:] or list(MODELS)
    with tempfile.TemporaryDirectory(prefix="imports-") as name:
        failed = [task for task in tasks if not _is_same(task, Path(name) / task)]
    sys.exit(f"different: {', '.join(failed)}" if failed else 0)


def _is_same(task: str, folder: Path) -> bool:
    folder.mkdir()
    data, run = data_for(task, folder / "data"), folder / "runs" / task / "train"
    _python("imports.trains", task, data, run, folder / "recorded", log=folder / "log")
    (run / "uploader_run.json").unlink()
    moved = shutil.move(folder / "runs", folder / "forgotten")
    _python("uploader", "import", moved, "--journal", folder / "imported", log=folder / "log")
    found = [
        *differences(folder / "recorded", folder / "imported"),
        *missing_pictures(Path(moved) / task / "train", folder / "imported"),
    ]
    print(f"{task}: {'same' if not found else ''}")
    print("".join(f"  {line}\n" for line in found), end="", flush=True)
    return not found


def _python(module: str, *arguments: object, log: Path) -> None:
    environment = {**os.environ, "YOLO_CONFIG_DIR": str(log.parent / "config")}
    with log.open("a") as output:
        command = [sys.executable, "-m", module, *map(str, arguments)]
        subprocess.run(command, env=environment, cwd=ROOT, stdout=output, stderr=output, check=True)


if __name__ == "__main__":
    main()
