"""Make torchvision importable beside a build of torch that its compiled operators cannot be loaded into.

The torchvision of the package index is compiled against the CUDA build of torch; beside a CPU build its operators
stay unregistered and `import torchvision` fails. Training needs only one of them, `nms`, and ultralytics has that in
plain torch. If the operators can be loaded, this module changes nothing.
"""

from __future__ import annotations

from functools import cache

import torch


def ensure_torchvision_ops() -> bool:
    """Define the operators that training needs, if the compiled ones are missing.

    Returns:
        Whether they were missing, so that the plain-torch `nms` is now in use.
    """
    try:
        import torchvision
    except RuntimeError:  # "operator torchvision::nms does not exist"
        _define_operators()
        import torchvision

    if torchvision.extension._has_ops():
        return False
    # Without the compiled library every operator refuses to run, the ones defined here included.
    torchvision.extension._assert_has_ops = _accept
    torchvision.ops.boxes._assert_has_ops = _accept
    return True


@cache
def _define_operators() -> torch.library.Library:
    """Register `torchvision::nms` for the CPU and the schema of `torchvision::qnms`, which is never called.

    Returns:
        The registrations, which last as long as this object; the cache keeps it alive.
    """
    from ultralytics.utils.nms import TorchNMS

    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.impl("nms", TorchNMS.nms, "CPU")
    return library


def _accept() -> None:
    """Replace the check that the compiled operators exist."""
