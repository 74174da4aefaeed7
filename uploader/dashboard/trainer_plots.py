"""The plots of a training's end as pictures. Pure functions."""

from __future__ import annotations

from typing import Any

from uploader.dashboard.shown import Picture


def trainer_plots(told: Any, class_names: Any = None) -> list[Picture]:
    """Return the plots of a training's end, whatever a trainer or a client has told there.

    Args:
        told: The plots; what is no mapping is left out.
        class_names: The names of the classes, which trainers tell once and not with each plot; put into those without.
    """
    found = [each for each in told if isinstance(each, dict)] if isinstance(told, list) else []
    named = {"names": class_names} if isinstance(class_names, (list, dict)) else {}
    return [Picture(str(each.get("type") or each.get("name") or "plot"), plot={**named, **each}) for each in found]
