"""What a model's forward pass costs, found beside the training.

Upstream runs the model itself for that, on the training's thread and device, when the first epoch ends: seconds for a
large one. The number depends on shapes alone, so a copy without weights (on PyTorch's "meta" device) gives the same.
"""

from __future__ import annotations

import copy
import logging
import threading
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

_END_SECONDS = 5.0
_LOG = logging.getLogger("uploader")
LONGEST_SECONDS = 30.0
"""How long the first epoch's event waits for the number; it takes less than an epoch, as a rule."""


class ModelProfile:
    """Finds out the GFLOPs of one model, once.

    Its thread touches no weights, draws no random numbers and changes nothing of the model.

    Attributes:
        parameters: The number of the model's parameters when it was copied.
    """

    def __init__(self) -> None:
        """Begin nothing yet."""
        self.parameters = 0
        self._gflops: float | None = None
        self._thread: threading.Thread | None = None

    def begin(self, model: Any, image_size: int | Sequence[int]) -> None:
        """Copy the model without its weights, and begin.

        Args:
            model: The trainer's `torch.nn.Module`, as it will be trained.
            image_size: In pixels; height and width if these differ.
        """
        if self._thread is None:
            self.parameters = parameters(model)
            work = (without_weights(model), image_size)
            self._thread = threading.Thread(
                target=self._find_out, args=work, name="uploader-model-profile", daemon=True
            )
            self._thread.start()

    def gflops(self) -> float | None:
        """Return what upstream gives as billions of operations per image, once it is known; None where it cannot be."""
        if self._thread is not None:
            self._thread.join(LONGEST_SECONDS)
        return self._gflops

    def close(self) -> None:
        """Wait for the thread, but not for long: a training has ended."""
        if self._thread is not None:
            self._thread.join(_END_SECONDS)

    def _find_out(self, model: Any, image_size: int | Sequence[int]) -> None:
        from ultralytics.utils.torch_utils import model_info_for_loggers

        # What upstream reads of a trainer; which size of image it counts with depends on its version.
        arguments, validator = (
            SimpleNamespace(profile=False, imgsz=image_size),
            SimpleNamespace(speed={"inference": 0.0}),
        )
        trainer = SimpleNamespace(model=model, args=arguments, validator=validator)
        try:
            self._gflops = model_info_for_loggers(trainer)["model/GFLOPs"] or None  # 0 where it failed
        except Exception as error:  # noqa: BLE001 - a custom model may fail in any way
            _LOG.debug("The model's GFLOPs cannot be found without its weights: %s", error)


def parameters(model: Any) -> int:
    """Return the number of a `torch.nn.Module`'s parameters."""
    return sum(parameter.numel() for parameter in model.parameters())


def without_weights(model: Any) -> Any:
    """Return a copy of a `torch.nn.Module` whose parameters and buffers have shapes and no content."""
    import torch

    while inner := getattr(model, "_orig_mod", None) or getattr(model, "module", None):  # compiled, or in parallel
        model = inner
    empty: dict[int, Any] = {}
    for tensor in (*model.parameters(), *model.buffers()):
        shape = torch.empty_like(tensor, device="meta")
        is_parameter = isinstance(tensor, torch.nn.Parameter)
        empty[id(tensor)] = torch.nn.Parameter(shape, tensor.requires_grad) if is_parameter else shape
    return copy.deepcopy(model, empty)
