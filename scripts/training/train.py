"""Train a small YOLO model on the CPU in about ten seconds; can kill itself, and resume.

python scripts/training/train.py --data data.yaml --save-dir runs/t1 --journal DIR --project demo --name t1
python scripts/training/train.py --resume runs/t1/weights/last.pt --journal DIR
"""

from __future__ import annotations

import argparse
import os
import signal
import tempfile
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from offline import isolate_ultralytics
from torchvision_ops import ensure_torchvision_ops

if TYPE_CHECKING:
    from ultralytics import YOLO

# The same training gives the same numbers: one seed, no loader processes, no mixed precision. Small batches without
# warm-up or mosaic learn enough from 64 images in three epochs that the metrics and curves are not all zero.
FIXED: dict[str, Any] = {
    "imgsz": 96,
    "batch": 2,
    "nbs": 2,
    "optimizer": "AdamW",
    "lr0": 0.002,
    "warmup_epochs": 0,
    "mosaic": 0,
    "workers": 0,
    "device": "cpu",
    "seed": 0,
    "deterministic": True,
    "amp": False,
}


def main(argv: list[str] | None = None) -> None:
    """Train as the command line says; a training that kills itself does not return."""
    options = _parser().parse_args(argv)
    if options.callbacks != "upstream":
        os.environ.pop("ULTRALYTICS_API_KEY", None)
    with _config_folder() as folder:
        isolate_ultralytics(folder)
        ensure_torchvision_ops()
        train(options)


def _config_folder() -> AbstractContextManager[str]:
    """Return the caller's folder for Ultralytics' settings, or a temporary one that is removed at a normal exit."""
    if chosen := os.environ.get("YOLO_CONFIG_DIR"):
        return nullcontext(chosen)
    return tempfile.TemporaryDirectory(prefix="ultralytics-")


def train(options: argparse.Namespace) -> None:
    """Build the model, attach the chosen callbacks, and train.

    Args:
        options: The command line's options.
    """
    from ultralytics import YOLO

    model = YOLO(options.resume or options.model)
    if options.callbacks == "ours":
        import uploader

        uploader.attach(model, journal=options.journal)
    if options.kill_after_epoch is not None:
        _kill_after(model, options.kill_after_epoch)
    if options.resume:
        model.train(resume=True)
    else:
        model.train(
            data=options.data,
            epochs=options.epochs,
            project=options.project,
            name=options.name,
            save_dir=options.save_dir,
            plots=options.plots,
            **FIXED,
        )


def _kill_after(model: YOLO, epochs: int) -> None:
    """Make the process kill itself once `epochs` epochs are complete and the next has begun."""

    def kill(trainer: Any) -> None:
        if trainer.epoch == epochs:
            os.kill(os.getpid(), signal.SIGKILL)

    model.add_callback("on_train_epoch_start", kill)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="data.yaml of the data set")
    parser.add_argument("--model", default="yolo11n.yaml", help="model to train from scratch")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--project", help="project of the run; as with ultralytics, none is allowed")
    parser.add_argument("--name", help="name of the run")
    parser.add_argument("--save-dir", help="folder of the run's results")
    parser.add_argument("--plots", action="store_true", help="draw them, which takes a third of the time")
    parser.add_argument("--resume", metavar="LAST_PT", help="continue the training that left this checkpoint")
    parser.add_argument("--callbacks", choices=("ours", "upstream", "none"), default="ours")
    parser.add_argument("--journal", type=Path, help="journal folder, for --callbacks ours")
    parser.add_argument(
        "--kill-after-epoch", type=int, metavar="N", help="kill itself with SIGKILL when epoch N+1 begins"
    )
    return parser


if __name__ == "__main__":
    main()
