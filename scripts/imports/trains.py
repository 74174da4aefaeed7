"""Train a tiny model of one task, recorded.

python -m imports.trains TASK DATA FOLDER JOURNAL
"""

from __future__ import annotations

import os
import sys

from offline import isolate_ultralytics
from torchvision_ops import ensure_torchvision_ops
from train import FIXED

from imports.task_data import MODELS


def main() -> None:
    task, data, folder, journal = sys.argv[1:]
    isolate_ultralytics(os.environ["YOLO_CONFIG_DIR"])
    ensure_torchvision_ops()
    from ultralytics import YOLO

    import uploader

    model = YOLO(MODELS[task], task=task)
    uploader.attach(model, journal=journal)
    model.train(**FIXED, data=data, save_dir=folder, project="tasks", name=task, epochs=2, plots=True)


if __name__ == "__main__":
    main()
