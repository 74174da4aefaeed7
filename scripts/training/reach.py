"""Real trainings in every way that `uploader exec` is to record; prints which were recorded once.

scripts/reach            all of them
scripts/reach yolo tune  some

With another Ultralytics first on `PYTHONPATH`, trainings of that version.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from dataset import make_dataset
from PIL import Image

SCRIPTS = Path(__file__).parent
BIN = Path(sys.executable).parent
ARGUMENTS = "imgsz=32 batch=4 fraction=0.1 workers=0 device=cpu plots=False amp=False epochs=1 exist_ok=True".split()
SHIM = """
import sys
words = ("yolo", "ultralytics", "train", "tune", "_temp_", "worker", "ipykernel", "-c")
if any(word in part for part in sys.orig_argv for word in words):
    from torchvision_ops import ensure_torchvision_ops
    ensure_torchvision_ops()
"""
TRAIN = """
import sys
from ultralytics import YOLO

def train(name):
    YOLO("yolo11n.yaml").train(data={data!r}, epochs=1, imgsz=32, batch=4, fraction=0.1, workers=0, device="cpu",
                               plots=False, amp=False, project={project!r}, name=name, exist_ok=True)

if __name__ == "__main__":
    train(sys.argv[1])
"""
SPAWN = """
import multiprocessing
from train import train

if __name__ == "__main__":
    child = multiprocessing.get_context("spawn").Process(target=train, args=("spawn",))
    child.start()
    child.join()
"""
TUNE = """
from ultralytics import YOLO

YOLO("yolo11n.yaml").tune(data={data!r}, epochs=1, iterations=2, imgsz=32, batch=4, fraction=0.1, workers=0,
                          device="cpu", plots=False, amp=False, project={project!r}, name="tune", val=True)
"""
RANKS = """
from equivalences.workers import Trainer

Trainer(overrides=dict(model="yolo11n-cls.yaml", data={images!r}, epochs=1, imgsz=32, batch=4, workers=0, device="cpu",
    plots=False, amp=False, project={project!r}, exist_ok=True, name="torchrun")).train()
"""
DDP = """
from equivalences.workers import Trainer
from ultralytics import YOLO

YOLO("yolo11n-cls.yaml").train(trainer=Trainer, data={images!r}, epochs=1, imgsz=32, batch=4, workers=0, device="cpu",
                               plots=False, amp=False, project={project!r}, exist_ok=True, name="ddp")
"""
RAY = """
import ray

@ray.remote
def train():
    from ultralytics import YOLO
    YOLO("yolo11n-cls.yaml").train(data={images!r}, epochs=1, imgsz=32, batch=4, workers=0, device="cpu", plots=False,
                                   amp=False, project={project!r}, exist_ok=True, name="ray")

ray.init(num_cpus=1, include_dashboard=False)
ray.get(train.remote())
"""


def main() -> None:
    """Run the chosen trainings."""
    with tempfile.TemporaryDirectory(prefix="reach-") as folder:
        place = Path(folder)
        ways = prepare(place)
        chosen = sys.argv[1:] or list(ways)
        failed = [way for way in chosen if not is_recorded_once(place, way, *ways[way])]
    sys.exit(f"not as expected: {', '.join(failed)}" if failed else 0)


def prepare(place: Path) -> dict[str, tuple[list[str], list[str], int]]:
    """Write the scripts; return for each way its command, the names of the runs and its exit code."""
    data, project = str(make_dataset(place / "data")), str(place / "runs")
    images = str(pictures(place / "images"))
    cli = [str(BIN / "yolo"), "detect", "train", f"data={data}", "model=yolo11n.yaml", f"project={project}", *ARGUMENTS]
    (place / "shims").mkdir()
    (place / "shims" / "sitecustomize.py").write_text(SHIM)
    texts = {"train.py": TRAIN, "spawn_train.py": SPAWN, "tune.py": TUNE, "ranks_train.py": RANKS, "ddp_train.py": DDP}
    texts["ray_train.py"] = RAY
    for name, text in texts.items():
        (place / name).write_text(text.format(data=data, images=images, project=project))
    line = " ".join(cli)
    cells = [
        f"!{line} name=shout",
        f"%%bash\n{line} name=bash",
        "import sys\nsys.path.insert(0, '.')\nimport train\ntrain.train('cell')",
    ]
    notebook(place / "cells.ipynb", cells)
    killed = (
        "import os, train\nfrom ultralytics.engine.trainer import BaseTrainer\n"
        "BaseTrainer.final_eval = lambda self: os.kill(os.getpid(), 9)\ntrain.train('killed')"
    )
    ways = {
        "yolo": ([*cli, "name=yolo"], ["yolo"], 0),
        "script": ([sys.executable, "train.py", "script"], ["script"], 0),
        "module": ([sys.executable, "-m", "train", "module"], ["module"], 0),
        "spawn": ([sys.executable, "spawn_train.py"], ["spawn"], 0),
        # each iteration is a training on a list of data sets, which upstream names by their folders
        "tune": ([sys.executable, "tune.py"], ["data", "data"], 0),
        "torchrun": ([str(BIN / "torchrun"), "--nproc_per_node", "2", "ranks_train.py"], ["torchrun"], 0),
        "ddp": ([sys.executable, "ddp_train.py"], ["ddp"], 0),
        "notebook": ([str(BIN / "jupyter"), "execute", "cells.ipynb"], ["shout", "bash", "cell"], 0),
        "killed": ([sys.executable, "-c", killed], ["killed"], -9),
    }
    if find_spec("ray"):  # it is large, and no version of this project needs it
        ways["ray"] = ([sys.executable, "ray_train.py"], ["ray"], 0)
    return ways


def pictures(folder: Path) -> Path:
    """Draw a data set for a classifier, of two classes."""
    random = np.random.default_rng(0)
    for split in ("train", "val"):
        for name, least in (("dark", 0), ("light", 128)):
            (place := folder / split / name).mkdir(parents=True)
            for number in range(4):
                pixels = random.integers(least, least + 128, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(place / f"{number}.png")
    return folder


def notebook(path: Path, cells: list[str]) -> None:
    """Write a notebook."""
    listed = [
        {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": each} for each in cells
    ]
    path.write_text(json.dumps({"cells": listed, "metadata": {}, "nbformat": 4, "nbformat_minor": 4}))


def is_recorded_once(place: Path, way: str, command: list[str], names: list[str], code: int) -> bool:
    """Run one; say what was recorded of it."""
    journal, log = place / f"journal-{way}", place / f"{way}.log"
    search = [place / "shims", SCRIPTS, SCRIPTS.parent, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, search)), "YOLO_OFFLINE": "true"}
    environment["YOLO_CONFIG_DIR"] = str(place / "config")
    whole = [sys.executable, "-m", "uploader", "exec", "--journal", str(journal), "--", *command]
    with log.open("w") as output:
        done = subprocess.run(whole, check=False, cwd=place, env=environment, stdout=output, stderr=subprocess.STDOUT)
    found = sorted(runs(journal))
    is_by_one = all("," not in sessions for *_, sessions in found)
    as_expected = is_by_one and (done.returncode, [name for name, *_ in found]) == (code, sorted(names))
    print(
        f"{way:10} {'once' if as_expected else 'WRONG'}  exit code {done.returncode}, runs {found}",
        flush=True,
    )
    if not as_expected:
        print(log.read_text()[-9000:])
    return as_expected


def runs(journal: Path) -> Iterator[tuple[str, int, str]]:
    """Yield each run's name, its epochs and how its session ended."""
    if not (journal / "journal.db").exists():
        return
    connection = sqlite3.connect(journal / "journal.db")
    yield from connection.execute(
        "SELECT name, (SELECT count(DISTINCT key) FROM events WHERE run_id = runs.id AND kind = 'epoch_end'), "
        "(SELECT group_concat(coalesce(outcome, 'open')) FROM sessions WHERE run_id = runs.id) FROM runs"
    )
    connection.close()


if __name__ == "__main__":
    main()
