"""What a person may want of a model, as the SDK 0.1.99 of the platform types it."""

from __future__ import annotations

from collections.abc import Mapping

LICENSES = (
    "None",
    "Apache-2.0",
    "MIT",
    "BSD-3-Clause",
    "AGPL-3.0",
    "GPL-3.0",
    "LGPL-3.0",
    "MPL-2.0",
    "EUPL-1.1",
    "Unlicense",
    "CC0-1.0",
    "Ultralytics-Enterprise",
    "Other",
)
"""The licences that a model may have there."""

FORMATS = (
    "torchscript",
    "onnx",
    "openvino",
    "engine",
    "coreml",
    "coreai",
    "saved_model",
    "pb",
    "edgetpu",
    "litert",
    "paddle",
    "mnn",
    "ncnn",
    "imx",
    "rknn",
    "executorch",
    "axelera",
    "deepx",
    "qnn",
    "hailo",
    "ascend",
    "xilinx",
)
"""The formats into which it converts a model."""

TASKS = ("detect", "segment", "semantic", "depth", "classify", "pose", "obb")
"""What a dataset may be for there."""

ARGUMENTS: Mapping[str, tuple[type, ...]] = {
    "agnostic_nms": (bool,),
    "batch": (int, float),
    "conf": (int, float),
    "data": (str,),
    "device": (int, str, list),
    "dynamic": (bool,),
    "end2end": (bool,),
    "fraction": (int, float, list),
    "half": (bool,),
    "imgsz": (int, list),
    "int8": (bool,),
    "iou": (int, float),
    "keras": (bool,),
    "max_det": (int,),
    "name": (str,),
    "nms": (bool,),
    "opset": (int,),
    "optimize": (bool,),
    "quantize": (int, str),
    "simplify": (bool,),
    "workspace": (int, float),
}
"""The arguments of a conversion, and what each may be, as Ultralytics 8.3.245 to 8.4.190 take them; the SDK lets be."""
