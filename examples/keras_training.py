"""Record a Keras training. If it is killed and started again with the same folder, it continues the same run.

    KERAS_BACKEND=torch python examples/keras_training.py --folder runs/keras

UPLOADER_JOURNAL names the journal; `python -m uploader drain` delivers it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras
import numpy as np

from uploader.frameworks.keras import OfflineCallback


def train(folder: Path, epochs: int, *callbacks: keras.callbacks.Callback) -> keras.Model:
    """Train a line until the last epoch, from the last one that was backed up in the folder if there is any."""
    keras.utils.set_random_seed(0)
    x = np.linspace(0, 1, 64, dtype="float32").reshape(-1, 1)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.SGD(0.3), loss="mse")
    ours = OfflineCallback(project="examples", name="keras", folder=folder, resume=True, last=folder / "last.keras")
    kept = [keras.callbacks.BackupAndRestore(folder / "backup"), keras.callbacks.ModelCheckpoint(folder / "last.keras")]
    given = {"validation_data": (x, 3 * x + 1), "callbacks": [*kept, ours, *callbacks]}
    model.fit(x, 3 * x + 1, batch_size=16, epochs=epochs, shuffle=False, verbose=0, **given)
    return model


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="folder for the weights")
    parser.add_argument("--epochs", type=int, default=5)
    given = parser.parse_args()
    train(given.folder, given.epochs)
