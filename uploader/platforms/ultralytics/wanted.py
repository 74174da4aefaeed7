"""What a person may want of a model, as the SDK 0.1.99 of the platform types it."""

from __future__ import annotations

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
