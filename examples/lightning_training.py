"""Record a Lightning training. If it is killed and started again with the same folder, it continues the same run.

    python examples/lightning_training.py --folder runs/lightning

UPLOADER_JOURNAL names the journal; `python -m uploader drain` delivers it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pytorch_lightning as pl  # or: import lightning.pytorch as pl
import torch
from torch.utils.data import DataLoader, TensorDataset

from uploader.frameworks.lightning import OfflineLogger


class Line(pl.LightningModule):
    """A model of the line 3 x + 1."""

    def __init__(self, lr: float) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.model = torch.nn.Linear(1, 1)

    def training_step(self, batch: list[torch.Tensor]) -> torch.Tensor:
        """Return the loss of a batch, and log it."""
        x, y = batch
        loss = torch.nn.functional.mse_loss(self.model(x), y)
        self.log("train/loss", loss)
        return loss

    def validation_step(self, batch: list[torch.Tensor]) -> None:
        """Log the loss of a batch that is not trained."""
        x, y = batch
        self.log("val/loss", torch.nn.functional.mse_loss(self.model(x), y))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return what trains it."""
        return torch.optim.SGD(self.parameters(), lr=self.hparams["lr"])


def data() -> DataLoader:
    """Return batches of points of the line."""
    x = torch.linspace(0, 1, 64).unsqueeze(1)
    return DataLoader(TensorDataset(x, 3 * x + 1), batch_size=16)


def train(folder: Path, epochs: int, *callbacks: pl.Callback) -> pl.Trainer:
    """Train until the last epoch, from the last checkpoint in the folder if there is one."""
    pl.seed_everything(0)
    trainer = pl.Trainer(
        logger=OfflineLogger(project="examples", name="lightning", folder=folder, resume=True),
        callbacks=[pl.callbacks.ModelCheckpoint(monitor="val/loss", save_last=True), *callbacks],
        max_epochs=epochs,
        log_every_n_steps=1,
        accelerator="cpu",
        enable_progress_bar=False,
    )
    last = folder / "checkpoints" / "last.ckpt"
    trainer.fit(Line(lr=0.3), data(), data(), ckpt_path=last if last.exists() else None)
    return trainer


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="folder for the checkpoints")
    parser.add_argument("--epochs", type=int, default=5)
    given = parser.parse_args()
    train(given.folder, given.epochs)
