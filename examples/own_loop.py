"""Record your own training loop. If it is killed and started again with the same folder, it continues the same run.

    python examples/own_loop.py --folder runs/line

UPLOADER_JOURNAL names the journal; `python -m uploader drain` delivers it.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from uploader.recorder import Recorder
from uploader.sink import JournalOptions

POINTS = [(x / 10, 3 * x / 10 + 1) for x in range(10)]  # the line to learn: 3 x + 1


def load(path: Path) -> tuple[int, float, float]:
    """Return the next epoch, and the line learned so far."""
    if not path.exists():
        return 0, 0.0, 0.0
    saved = json.loads(path.read_text())
    return saved["epoch"] + 1, saved["slope"], saved["offset"]


def save(path: Path, epoch: int, slope: float, offset: float) -> None:
    """Write the weights atomically: a reader finds either the old ones or the new ones."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(json.dumps({"epoch": epoch, "slope": slope, "offset": offset}))
    new.replace(path)


def learn(slope: float, offset: float) -> tuple[float, float, float]:
    """Take one step of gradient descent; return the loss before it and the line after it."""
    errors = [(slope * x + offset - y, x) for x, y in POINTS]
    loss = sum(error**2 for error, _ in errors) / len(errors)
    rate = 0.5 / len(errors)
    return loss, slope - rate * sum(error * x for error, x in errors), offset - rate * sum(error for error, _ in errors)


def train(folder: Path, epochs: int, kill_after: int | None = None) -> None:
    """Train until the last epoch, or until a platform cancels the training."""
    weights = folder / "weights" / "best.pt"
    first, slope, offset = load(weights)
    recorder = Recorder.start(
        JournalOptions(os.environ.get("UPLOADER_JOURNAL")),  # None: the user's data folder
        project="examples",
        name="line",
        save_dir=folder,
        resume=first > 0,
    )
    # `uploaderRun` identifies the run if the answer to its registration is lost.
    started = {"epochs": epochs, "environment": {"uploaderRun": recorder.run_id}}
    recorder.event("training_started", started, str(recorder.session_number))
    for epoch in range(first, epochs):
        loss, slope, offset = learn(slope, offset)
        save(weights, epoch, slope, offset)
        # Durable when this returns, without touching the network: a killed process does not lose it.
        recorder.event("epoch_end", {"epoch": epoch, "metrics": {"train/loss": loss}}, str(epoch))
        if kill_after == epoch:
            os.kill(os.getpid(), 9)
        if reason := recorder.cancelled():
            print(f"Stopped: {reason}")
            break
    recorder.checkpoint(weights, role="final", epoch=epochs - 1, publish=True, is_best=True)
    recorder.wait_for_snapshots()
    recorder.event("training_complete", {"results": {"bestEpoch": epochs - 1}})
    recorder.finish("complete")
    print(f"{slope:.2f} x + {offset:.2f}; deliver it: {recorder.drain_command}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="folder for the weights")
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--kill-after", type=int, metavar="EPOCH", help="SIGKILL itself after this epoch")
    given = parser.parse_args()
    train(given.folder, given.epochs, given.kill_after)
