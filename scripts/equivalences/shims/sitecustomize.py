"""Makes torchvision importable in processes that Ultralytics starts by itself."""

import sys

if any("ultralytics.cfg" in part or "torch.distributed" in part or "_temp_" in part for part in sys.orig_argv):
    from torchvision_ops import ensure_torchvision_ops

    ensure_torchvision_ops()
