"""Record a training by Hugging Face's Trainer. If it is killed and started again, it continues the same run.

    python examples/transformers_training.py --folder runs/transformers

UPLOADER_JOURNAL names the journal; `python -m uploader drain` delivers it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback, TrainingArguments, set_seed

from uploader.frameworks.transformers import OfflineCallback


class Line(torch.nn.Module):
    """A model of the line 3 x + 1."""

    def __init__(self) -> None:
        super().__init__()
        self.model = torch.nn.Linear(1, 1)

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the loss of a batch, and what the model takes its points for."""
        logits = self.model(x)
        return {"loss": torch.nn.functional.mse_loss(logits, labels), "logits": logits}


class InOrder(Trainer):
    """A trainer that does not shuffle."""

    def get_train_dataloader(self) -> DataLoader:
        """Return the batches."""
        return self.get_eval_dataloader()


def data() -> list[dict[str, torch.Tensor]]:
    """Return points of the line."""
    return [{"x": x, "labels": 3 * x + 1} for x in torch.linspace(0, 1, 64).unsqueeze(1)]


def train(folder: Path, epochs: int, *callbacks: TrainerCallback) -> Trainer:
    """Train until the last epoch, from the last checkpoint in the folder if there is one."""
    set_seed(0)
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=epochs,
        per_device_train_batch_size=16,
        per_device_eval_batch_size=16,
        learning_rate=0.3,
        optim="sgd",
        lr_scheduler_type="constant",
        max_grad_norm=0,
        logging_steps=1,
        eval_strategy="epoch",
        save_strategy="epoch",
        metric_for_best_model="loss",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
    )
    callback = OfflineCallback(project="examples", name="transformers")
    trainer = InOrder(Line(), arguments, train_dataset=data(), eval_dataset=data(), callbacks=[callback, *callbacks])
    trainer.train(resume_from_checkpoint=any(folder.glob("checkpoint-*")))
    return trainer


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="folder for the checkpoints")
    parser.add_argument("--epochs", type=int, default=5)
    given = parser.parse_args()
    train(given.folder, given.epochs)
