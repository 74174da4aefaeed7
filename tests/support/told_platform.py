"""A local platform without its server: what is told to it goes through the same rules as requests do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from uploader.server.data_folder import opened
from uploader.server.local_platform import Platform
from uploader.server.pages.store_source import StoreSource
from uploader.server.rules import messages, registration, training
from uploader.server.storage import ordering
from uploader.server.times import When

KEY = "local/demo/train"


@dataclass
class Told:
    """A platform, the source of its pages, and a clock that stands still; `model` is the last one registered."""

    platform: Platform
    source: StoreSource
    clock: list[float]
    model: str = field(default="")

    def start(self, name: str = "train", **data: Any) -> str:
        """Register a training in the project `demo`, and return its model's id."""
        self.model = str(self.event("training_started", data, name=name)["modelId"])
        return self.model

    def event(
        self,
        event: str,
        data: dict[str, Any],
        *,
        order: str | None = None,
        evaluation: str | None = None,
        name: str = "",
    ) -> dict[str, Any]:
        """Tell an event, of the last model unless a name is given."""
        target = {"project": "demo", "name": name} if name else {"modelId": self.model}
        now, body = self.platform.now(), {"event": event, "data": data, **target}
        found = messages.training_event(
            body, self.platform.owner, When(now, now, now), ordering.read(order), evaluation=evaluation
        )
        with self.platform.store.write() as rows:
            return registration.start(rows, found) if event == "training_started" else training.record(rows, found)

    def epoch(self, number: int, evaluation: str | None = "no", **data: Any) -> None:
        """Tell an epoch."""
        metrics = {"train/loss": 2.0 / (number + 1), "val/loss": 1.0, "metrics/mAP50-95(B)": number / 100}
        self.event("epoch_end", {"epoch": number, "metrics": metrics, **data}, evaluation=evaluation)

    def print(self, chunk: int, text: str, order: str | None = None) -> None:
        """Tell a piece of the console."""
        self.event("console_output", {"chunkId": chunk, "content": text}, order=order)


@contextmanager
def told_platform(folder: Path, **options: Any) -> Iterator[Told]:
    """Open a platform as its server does."""
    clock = [1_800_000_000.0]
    with opened(folder, api_key="k", clock=lambda: clock[0], **options) as platform:
        yield Told(platform, StoreSource(platform), clock)
