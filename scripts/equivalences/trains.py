"""One process of a situation: train with upstream's own streaming or with ours, and do what the step says.

python -m equivalences.trains STEP MODEL ARGUMENTS(JSON)

`EQUIVALENCE` says which of the two; the command line cannot, because it is reported.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from offline import isolate_ultralytics
from torchvision_ops import ensure_torchvision_ops

IS_OURS = os.environ.get("EQUIVALENCE") == "ours"


class Failure(Exception):
    """The error that ends a training."""


def main() -> None:
    step, name, arguments = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    isolate_ultralytics(os.environ["YOLO_CONFIG_DIR"])
    ensure_torchvision_ops()
    from ultralytics import settings

    settings.update(runs_dir=str(Path.cwd() / "runs"))
    _speak_to_one_server()
    if step == "train twice":
        for _ in range(2):
            _model(name).train(**arguments)
        return
    model = _model(_last() if step == "resume" else name)
    for event, callback in _happenings(step):
        model.add_callback(event, callback)
    if step == "workers":
        from equivalences.workers import Trainer

        arguments["trainer"] = Trainer
    model.train(**({"resume": True} if step == "resume" else arguments))


def _model(name: str) -> Any:
    import ultralytics

    model = (ultralytics.RTDETR if "rtdetr" in name else ultralytics.YOLO)(name)
    if IS_OURS:
        import uploader

        uploader.attach(model, journal=os.environ["EQUIVALENCE_JOURNAL"])
    return model


def _last() -> str:
    return str(next(Path().rglob("last.pt")))


def _happenings(step: str) -> list[tuple[str, Callable[[Any], None]]]:
    """Return what happens in a step: callback events, and the action at each."""
    if step == "callbacks are added late":
        return [("on_train_start", _add_late), ("on_fit_epoch_end", _add_metric), ("on_train_end", _add_plot)]
    deeds = {"killed": _kill, "raises": _raise, "time": _take_time}
    if (found := re.match(r"(\w+) .*in epoch (\d+)", step)) is None:
        return []
    deed, epoch = deeds[found[1]], int(found[2]) - 1
    return [("on_train_epoch_start", lambda trainer: deed(trainer) if trainer.epoch == epoch else None)]


def _kill(trainer: Any) -> None:
    """Kill the process, once upstream has sent what it has queued."""
    del trainer
    if executor := getattr(sys.modules.get("ultralytics.utils.callbacks.platform"), "_executor", None):
        executor.shutdown(wait=True)
    os.kill(os.getpid(), signal.SIGKILL)


def _raise(trainer: Any) -> None:
    raise Failure(f"in epoch {trainer.epoch + 1}")


def _take_time(trainer: Any) -> None:
    trainer.train_time_start -= 24 * 3600


def _add_late(trainer: Any) -> None:
    trainer.add_callback("on_fit_epoch_end", lambda trainer: trainer.metrics.update({"metrics/later": 0.25}))


def _add_metric(trainer: Any) -> None:
    trainer.metrics["metrics/mine"] = 0.5


def _add_plot(trainer: Any) -> None:
    trainer.plots["mine"] = {"data": {"type": "mine", "x": None, "matrix": [[1.0]]}}


def _speak_to_one_server() -> None:
    """Make 8.3 report to the same server as other versions; its address is a constant."""
    import requests
    from ultralytics.utils import callbacks  # noqa: F401 - must be imported first

    here, post = os.environ["ULTRALYTICS_PLATFORM_URL"], requests.post

    def post_here(url: str, *args: Any, **options: Any) -> Any:
        return post(url.replace("https://alpha.ultralytics.com", here), *args, **options)

    requests.post = post_here


if __name__ == "__main__":
    main()
