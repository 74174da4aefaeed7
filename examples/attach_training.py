"""Train a small YOLO model and record it, without a network or a key.

    python examples/attach_training.py --data data.yaml --epochs 3

UPLOADER_JOURNAL names the journal; `python -m uploader drain` delivers it.
"""

from __future__ import annotations

import argparse

from ultralytics import YOLO

import uploader

parser = argparse.ArgumentParser()
parser.add_argument("--data", required=True, help="data.yaml of a detection data set")
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--imgsz", type=int, default=640)
arguments = parser.parse_args()

model = uploader.attach(YOLO("yolo11n.yaml"))
model.train(
    data=arguments.data, epochs=arguments.epochs, imgsz=arguments.imgsz, workers=0, project="examples", name="attached"
)
