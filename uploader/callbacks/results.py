"""A finished training as the payload of `training_complete`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from journal.encoding import plain
from journal.losses import Loss
from uploader.callbacks.plots import collect_plots, without_large
from uploader.callbacks.trainer import Trainer
from uploader.live.guard import optional

SAMPLE_LIMIT = 5_000
"""At most this many images of a validation set are reported."""
EXTREMES_LIMIT = 100
"""How many of the worst and of the best images are reported in full."""

ImageMetrics = Mapping[str, Any]


def completion_payload(trainer: Trainer) -> dict[str, Any]:
    """Return the data of the platform's `training_complete` event.

    What only the platform knows (`modelPath`, `modelSize`, `runId`) is added at delivery. A part that a custom task
    does not have as expected is left out.
    """
    return {
        "results": _results(trainer),
        "classNames": optional("the class names", lambda: class_names(trainer)),
        "plots": optional("the plots", lambda: collect_plots(trainer)) or [],
    }


def recorded_results(trainer: Trainer) -> tuple[Mapping[str, Any], list[Loss]]:
    """Return `completion_payload` as plain values without plots that are too large, and what was left out."""
    payload = completion_payload(trainer)
    payload["plots"], losses = without_large(payload["plots"])
    return plain(payload), losses


def _results(trainer: Trainer) -> dict[str, Any]:
    results: dict[str, Any] = {
        "metrics": {**(trainer.metrics or {}), "fitness": trainer.fitness},
        "bestEpoch": best_epoch(trainer),
        "bestFitness": trainer.best_fitness,
    }
    if calibration := getattr(trainer, "depth_calibration", None):
        results["calibration"] = calibration
    if validation := optional("the validation", lambda: _validation(trainer)):
        results["validation"] = validation
    return results


def best_epoch(trainer: Trainer) -> int:
    """Return the epoch of the best fitness, counted from 0; the stopper counts from 1."""
    stopper = getattr(trainer, "stopper", None)
    return max(0, int(getattr(stopper, "best_epoch", trainer.epoch + 1)) - 1)


def class_names(trainer: Trainer) -> list[str] | None:
    """Return the names of the classes in the order of their indices, or None for a task without classes."""
    names = getattr(getattr(trainer, "validator", None), "names", None) or (_dataset(trainer).get("names"))
    if not names:
        return None
    return list(names.values() if isinstance(names, Mapping) else names)


def _dataset(trainer: Trainer) -> Mapping[str, Any]:
    return getattr(trainer, "data", None) or {}


def _validation(trainer: Trainer) -> dict[str, Any] | None:
    """Return the validation sample; only detection has metrics by image, and not in 8.3."""
    if trainer.args.task != "detect":
        return None
    box = getattr(getattr(getattr(trainer, "validator", None), "metrics", None), "box", None)
    image_metrics = getattr(box, "image_metrics", None)
    return validation_sample(image_metrics) if image_metrics else None


def validation_sample(image_metrics: Mapping[str, ImageMetrics]) -> dict[str, Any]:
    """Return an even sample of the images by rank of F1, and the extremes in full.

    Args:
        image_metrics: `f1`, `tp`, `fp` and `fn` of each image, by file name.

    Returns:
        `population` (number of images), `sampling` (how the sample was drawn), `rows` (the sample, from the worst) and
        `extremes` with `worst` (from the worst) and `best` (from the best); a row is image id, tp, fp, fn.
    """
    ranked = sorted(image_metrics.items(), key=lambda item: (item[1]["f1"], item[0]))
    return {
        "population": len(ranked),
        "sampling": "f1_rank",
        "rows": _rows(evenly_spaced(ranked, SAMPLE_LIMIT)),
        "extremes": {
            "worst": _rows(ranked[:EXTREMES_LIMIT]),
            "best": _rows(reversed(ranked[-EXTREMES_LIMIT:])),
        },
    }


def evenly_spaced(items: Sequence[Any], limit: int) -> Sequence[Any]:
    """Return at most `limit` items at even distances, the first and the last among them."""
    if len(items) <= limit:
        return items
    return [items[round(index * (len(items) - 1) / (limit - 1))] for index in range(limit)]


def _rows(ranked: Iterable[tuple[str, ImageMetrics]]) -> list[list[Any]]:
    """Return rows for images; a platform's data set names its images `<id>_<name>`, and identifies them by the id."""
    return [[Path(name).stem.split("_", 1)[0], row["tp"], row["fp"], row["fn"]] for name, row in ranked]
