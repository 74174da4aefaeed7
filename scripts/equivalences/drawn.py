"""Tiny generated data sets, one for each task: a square or a disc on noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SIZE = 64
COUNTS = {"train": 12, "val": 6}
NAMES = ("square", "disc")


@dataclass(frozen=True)
class Item:
    """One image to write.

    Attributes:
        root: Folder of the data set.
        split: `train` or `val`.
        name: Name of its files, without suffix.
        image: The pixels.
        kind: Index of its class.
        box: Left, top, right and bottom of the shape, in pixels.
    """

    root: Path
    split: str
    name: str
    image: Image.Image
    kind: int
    box: tuple[int, ...]

    def save(self, image: Image.Image, folder: str) -> None:
        path = self.root / folder / f"{self.name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)


def draw(task: str, root: Path) -> str:
    """Draw a task's data set into a folder; return the `data` argument for a training."""
    random = np.random.default_rng(0)
    for split, count in COUNTS.items():
        for number in range(count):
            kind = number % 2
            left, top = (int(value) for value in random.integers(4, 24, 2))
            image = Image.fromarray(random.integers(0, 60, (SIZE, SIZE, 3), dtype=np.uint8))
            box = (left, top, left + 32, top + 32)
            _shape(ImageDraw.Draw(image), kind, box, (0, 255, 0) if kind else (255, 0, 0))
            _WRITERS[task](Item(root, split, f"{number:03d}", image, kind, box))
    return str(root) if task == "classify" else str(_description(task, root))


def _shape(canvas: ImageDraw.ImageDraw, kind: int, box: tuple[int, ...], fill: object) -> None:
    (canvas.ellipse if kind else canvas.rectangle)(box, fill=fill)  # type: ignore[arg-type]


def _classify(item: Item) -> None:
    item.save(item.image, f"{item.split}/{NAMES[item.kind]}")


def _labelled(line: Callable[[tuple[int, ...]], list[float]]) -> Callable[[Item], None]:
    """Return a writer of an image and its label: the class, and the numbers that `line` makes of the box."""

    def write(item: Item) -> None:
        item.save(item.image, f"images/{item.split}")
        file = item.root / "labels" / item.split / f"{item.name}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(" ".join([str(item.kind), *(f"{value:.6f}" for value in line(item.box))]) + "\n")

    return write


def _mapped(folder: str, values: Callable[[int], int], mode: str) -> Callable[[Item], None]:
    """Return a writer of an image and a map of its pixels."""

    def write(item: Item) -> None:
        item.save(item.image, f"images/{item.split}")
        target = Image.new(mode, (SIZE, SIZE), values(-1))
        _shape(ImageDraw.Draw(target), item.kind, item.box, values(item.kind))
        item.save(target, f"{folder}/{item.split}")

    return write


def _centred(box: tuple[int, ...]) -> list[float]:
    left, top, right, bottom = (value / SIZE for value in box)
    return [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]


def _corners(box: tuple[int, ...]) -> list[float]:
    left, top, right, bottom = (value / SIZE for value in box)
    return [left, top, right, top, right, bottom, left, bottom]


def _points(box: tuple[int, ...]) -> list[float]:
    corners = _corners(box)
    seen = [value for x, y in zip(corners[::2], corners[1::2], strict=True) for value in (x, y, 2.0)]
    return [*_centred(box), *seen]


_WRITERS: dict[str, Callable[[Item], None]] = {
    "classify": _classify,
    "detect": _labelled(_centred),
    "segment": _labelled(_corners),
    "obb": _labelled(_corners),
    "pose": _labelled(_points),
    "semantic": _mapped("masks", lambda kind: kind + 1, "L"),
    "depth": _mapped("depth", lambda kind: 3000 + 1000 * kind, "I;16"),
}
_MORE = {
    "pose": "kpt_shape: [4, 3]\nflip_idx: [1, 0, 3, 2]\n",
    "semantic": "masks_dir: masks\n",
    "depth": "channels: 3\ndepth_scale: 1000\n",
}
_CLASSES = {"semantic": ("ground", *NAMES), "depth": ("depth",)}


def _description(task: str, root: Path) -> Path:
    names = "".join(f"  {number}: {name}\n" for number, name in enumerate(_CLASSES.get(task, NAMES)))
    file = root / "data.yaml"
    file.write_text(f"path: {root}\ntrain: images/train\nval: images/val\n{_MORE.get(task, '')}names:\n{names}")
    return file
