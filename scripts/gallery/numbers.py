"""Numbers as trainings have them: losses that fall, metrics that rise, and noise that gets less."""

from __future__ import annotations

import math
from collections.abc import Iterator
from random import Random

CLOSING = 10
"""Epochs at the end without mosaic, in which losses fall once more."""


def epochs(best: float, planned: int, seed: str, *, tau: float = 14.0) -> Iterator[dict[str, float]]:
    """Yield what each epoch of a detection tells.

    Args:
        best: The mAP50-95 that the training comes to.
        planned: How many epochs there are to be.
        seed: By which one training's noise differs from another's.
        tau: How many epochs most of the way takes.
    """
    noise = Random(seed)
    for epoch in range(planned):
        way = 1 - math.exp(-(epoch + 1) / tau)
        closing = max(0, epoch - (planned - CLOSING) + 1) / CLOSING
        spread = 0.25 * math.exp(-epoch / 12) + 0.035
        m = best * (0.985 * way**1.6 + 0.015 * closing) * (1 + 0.35 * noise.gauss(0, spread))
        m50 = min(0.995, m**0.52 * (1 + 0.10 * noise.gauss(0, spread)))
        yield {
            **_losses("train", 1 - 0.86 * way - 0.09 * closing, best, noise, spread / 9),
            **_losses("val", 1 - 0.74 * way - 0.02 * closing, best, noise, spread / 5),
            "metrics/precision(B)": _share(m50**0.8, noise, spread),
            "metrics/recall(B)": _share(m50**1.25, noise, spread),
            "metrics/mAP50(B)": _share(m50, noise, 0.0),
            "metrics/mAP50-95(B)": _share(m, noise, 0.0),
            "lr/pg0": round(0.01 * min(1.0, (epoch + 1) / 3) * (1 - 0.99 * epoch / planned), 6),
        }


def _losses(part: str, left: float, best: float, noise: Random, spread: float) -> dict[str, float]:
    """Return the losses of a part; a better model's end lower."""
    floor = 1.25 - best
    sizes = {"box_loss": (1.1, 1.0), "cls_loss": (2.4, 0.75), "dfl_loss": (0.75, 1.35)}
    return {
        f"{part}/{name}": round((high * left + low * floor) * (1 + noise.gauss(0, spread)), 5)
        for name, (high, low) in sizes.items()
    }


def _share(value: float, noise: Random, spread: float) -> float:
    return round(min(0.997, max(0.0, value * (1 + 0.15 * noise.gauss(0, spread)))), 5)
