"""Record a plain PyTorch loop. If it is killed and started again with the same folder, it continues the same run.

    python examples/pytorch_loop.py --folder runs/line

UPLOADER_JOURNAL names the journal; `python -m uploader drain` delivers it.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import torch
from torch.utils.data import DataLoader, TensorDataset

import uploader


def data(seed: int) -> TensorDataset:
    """Return points of the line 3 x + 1, with some noise."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(64, 1, generator=generator)
    return TensorDataset(x, 3 * x + 1 + 0.01 * torch.randn(64, 1, generator=generator))


def save(path: Path, epoch: int, model: torch.nn.Module, optimizer: torch.optim.Optimizer, best: float) -> None:
    """Write a checkpoint atomically: a reader finds either the old one or the new one."""
    new = path.with_suffix(".new")
    torch.save({"epoch": epoch, "model": model.state_dict(), "optimizer": optimizer.state_dict(), "best": best}, new)
    new.replace(path)


def train(folder: Path, epochs: int, kill_after: int | None = None) -> None:
    """Train until the last epoch, or until a platform asks the loop to stop."""
    torch.manual_seed(0)
    model, loss_of = torch.nn.Linear(1, 1), torch.nn.MSELoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    first, best = 0, float("inf")
    if (last := folder / "last.pt").exists():
        saved = torch.load(last)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        first, best = saved["epoch"] + 1, saved["best"]
    config = {"epochs": epochs, "lr": 0.3, "batch": 16}
    # The folder names the run: the one that was recorded there goes on, if there is one.
    with uploader.start_run(project="examples", name="pytorch", config=config, folder=folder, resume=True) as run:
        for epoch in range(first, epochs):
            losses = []
            for x, y in DataLoader(data(1), batch_size=16, shuffle=True):
                optimizer.zero_grad()
                loss = loss_of(model(x), y)
                loss.backward()
                optimizer.step()
                losses.append(loss.detach())
            run.log({"train/loss": torch.stack(losses).mean()}, step=epoch)  # durable when this returns
            with torch.no_grad():
                x, y = data(2).tensors
                run.log({"val/loss": (value := loss_of(model(x), y).item())}, step=epoch)
            told = {"epoch": epoch, "train/loss": torch.stack(losses).mean().item(), "val/loss": value}
            print(json.dumps(told), flush=True)
            is_best, best = value < best, min(value, best)
            save(folder / "last.pt", epoch, model, optimizer, best)
            run.log_checkpoint(folder / "last.pt", role="last")
            if is_best:
                save(folder / "best.pt", epoch, model, optimizer, best)
                run.log_checkpoint(folder / "best.pt", role="best")
            if kill_after == epoch:
                os.kill(os.getpid(), 9)
            if run.stop_requested:
                break
        run.summary["val/loss"] = best


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="folder for the weights")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--kill-after", type=int, metavar="EPOCH", help="SIGKILL itself after this epoch")
    given = parser.parse_args()
    train(given.folder, given.epochs, given.kill_after)
