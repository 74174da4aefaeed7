"""A multi-GPU training without GPUs: two processes on the CPU that communicate through gloo."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed
from ultralytics.models.yolo.classify import ClassificationTrainer
from ultralytics.utils import LOCAL_RANK, RANK

if LOCAL_RANK != -1:

    class OnCpu(torch.nn.parallel.DistributedDataParallel):
        """Ignores the device."""

        def __init__(self, module: Any, device_ids: Any = None, **options: Any) -> None:
            del device_ids
            super().__init__(module, **options)

    torch.nn.parallel.DistributedDataParallel = OnCpu


class Trainer(ClassificationTrainer):
    """Starts two workers, as for two GPUs."""

    ddp = property(lambda _: LOCAL_RANK == -1, lambda *_: None)
    world_size = property(lambda _: 2, lambda *_: None)

    def _setup_ddp(self, *_: Any) -> None:
        torch.distributed.init_process_group("gloo", rank=RANK, world_size=2)

    def final_eval(self) -> None:
        """Evaluate on the CPU, which a worker's validator does not do."""
        from ultralytics.engine import validator

        rank, validator.RANK = validator.RANK, -1
        try:
            super().final_eval()
        finally:
            validator.RANK = rank
