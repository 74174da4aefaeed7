"""A run's plots and images, as a page draws them."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from journal.reading.logged_media import LoggedMedium
from journal.reading.run_gists import RunGist
from uploader.dashboard.shown import Picture
from uploader.dashboard.trainer_plots import trainer_plots

_MOST = 200
_IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})


def run_pictures(gist: RunGist, media: Sequence[LoggedMedium]) -> list[Picture]:
    """Return the trainer's plots, then what was logged, the newest steps first.

    Args:
        gist: What the journal's list tells of the run; its end has the trainer's plots.
        media: What was logged, oldest first.
    """
    drawn = trainer_plots(gist.end.get("plots"), gist.end.get("classNames"))
    newest = sorted(media, key=lambda one: one.step, reverse=True)[:_MOST]
    return [*drawn, *(picture for one in newest if (picture := _logged(one)) is not None)]


def _logged(one: LoggedMedium) -> Picture | None:
    if one.form == "plot":
        return Picture(one.name, one.step, plot={"x": one.x, "y": one.y})
    if one.content is None or one.mime not in _IMAGES:
        return None
    return Picture(one.name, one.step, image=f"data:{one.mime};base64,{base64.b64encode(one.content).decode()}")
