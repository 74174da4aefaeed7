"""A tiny generated data set for each of Ultralytics' tasks: squares and discs on noise, in that task's labels."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

from dataset import CLASSES, make_dataset

Label = Callable[[int, float, float, float, float], str]
MODELS = {
    "detect": "yolo11n.yaml",
    "segment": "yolo11n-seg.yaml",
    "classify": "yolo11n-cls.yaml",
    "pose": "yolo11n-pose.yaml",
    "obb": "yolo11n-obb.yaml",
}


def data_for(task: str, folder: Path) -> Path:
    """Return what a training of a task names as its `data`."""
    data = make_dataset(folder, train=16, val=8)
    if task == "classify":
        return _by_class(folder)
    if label := _LABELS.get(task):
        for file in (folder / "labels").rglob("*.txt"):
            file.write_text("".join(_relabelled(line, label) for line in file.read_text("utf-8").splitlines()), "utf-8")
    if task == "pose":
        data.write_text(data.read_text("utf-8") + "kpt_shape: [1, 3]\n", "utf-8")
    return data


def _by_class(folder: Path) -> Path:
    """Sort the images into folders by the class of their first object."""
    for file in sorted((folder / "labels").rglob("*.txt")):
        name = CLASSES[int(re.match(r"\d+", file.read_text("utf-8"))[0])]  # type: ignore[index]
        image = folder / "images" / file.parent.name / f"{file.stem}.png"
        target = folder / "classes" / file.parent.name / name
        target.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(image, target / image.name)
    return folder / "classes"


def _relabelled(line: str, label: Label) -> str:
    kind, *place = line.split()
    return label(int(kind), *map(float, place)) + "\n"


def _corners(kind: int, x: float, y: float, width: float, height: float) -> str:
    left, right, top, bottom = x - width / 2, x + width / 2, y - height / 2, y + height / 2
    return f"{kind} {left} {top} {right} {top} {right} {bottom} {left} {bottom}"


def _with_keypoint(kind: int, x: float, y: float, width: float, height: float) -> str:
    return f"{kind} {x} {y} {width} {height} {x} {y} 2"


_LABELS: dict[str, Label] = {"segment": _corners, "obb": _corners, "pose": _with_keypoint}
