"""A tiny generated detection data set: squares and discs on noise.

python scripts/training/dataset.py FOLDER
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

CLASSES = ("square", "disc")
SEED = 0


def make_dataset(folder: str | Path, train: int = 64, val: int = 8, size: int = 96) -> Path:
    """Draw a data set in Ultralytics' layout; the same arguments give the same pixels.

    Args:
        folder: Where to write it; created if missing. Files of the same names are overwritten.
        train: Number of training images.
        val: Number of validation images.
        size: Width and height of an image, in pixels.

    Returns:
        The absolute path of the `data.yaml` that describes it.
    """
    root = Path(folder).resolve()
    random = np.random.default_rng(SEED)
    for split, count in (("train", train), ("val", val)):
        (root / "images" / split).mkdir(parents=True, exist_ok=True)
        (root / "labels" / split).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            image, labels = _draw(random, size)
            image.save(root / "images" / split / f"{index:03d}.png")
            (root / "labels" / split / f"{index:03d}.txt").write_text("".join(labels))
    description = root / "data.yaml"
    names = "".join(f"  {index}: {name}\n" for index, name in enumerate(CLASSES))
    description.write_text(f"path: {root}\ntrain: images/train\nval: images/val\nnames:\n{names}")
    return description


def _draw(random: np.random.Generator, size: int) -> tuple[Image.Image, list[str]]:
    """Draw one image of one to three objects.

    Returns:
        The image, and its label lines: class, then centre and extent as fractions of the image's size.
    """
    image = Image.fromarray(random.integers(0, 96, (size, size, 3), dtype=np.uint8))
    canvas = ImageDraw.Draw(image)
    labels = []
    for _ in range(random.integers(1, 4)):
        kind = int(random.integers(len(CLASSES)))
        extent = int(random.integers(size // 6, size // 2))
        left, top = (int(value) for value in random.integers(0, size - extent, 2))
        colour = tuple(int(value) for value in random.integers(128, 256, 3))
        shape = canvas.rectangle if CLASSES[kind] == "square" else canvas.ellipse
        shape((left, top, left + extent - 1, top + extent - 1), fill=colour)
        centre = ((left + extent / 2) / size, (top + extent / 2) / size)
        labels.append(f"{kind} {centre[0]:.6f} {centre[1]:.6f} {extent / size:.6f} {extent / size:.6f}\n")
    return image, labels


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Draw a tiny detection data set and print its data.yaml.")
    parser.add_argument("folder", type=Path)
    print(make_dataset(parser.parse_args().folder))
