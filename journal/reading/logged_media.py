"""Images and plots that a loop has logged, or an import brought in, as a journal holds them."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from journal.kinds import COMPLETE, MEDIA
from journal.schema.tables import RANK

_MEDIA = text(
    f"""
    SELECT e.key, e.payload, e.created_at FROM events e JOIN sessions s ON s.id = e.session_id
    WHERE e.run_id = :run AND e.kind = '{MEDIA}' AND json_valid(e.payload) ORDER BY {RANK}
    """  # noqa: S608 - names of this package
)

# A form stands near the beginning, as `encode` writes it, and in no text, where quotes are escaped. Parsing the images,
# which may be gigabytes, would take ten times as long.
_COUNT = text(
    f"""
    SELECT count(DISTINCT CASE WHEN instr(begin, '"form":"image"') > 0 THEN key END) AS images,
           count(DISTINCT CASE WHEN instr(begin, '"form":"plot"') > 0 THEN key END) AS plots
    FROM (SELECT key, substr(payload, 1, 4096) AS begin FROM events WHERE run_id = :run AND kind = '{MEDIA}') media
    """  # noqa: S608 - a name of this package
)
_PLOTS_OF_END = text(
    f"""
    SELECT json_array_length(e.payload, '$.plots') FROM events e JOIN sessions s ON s.id = e.session_id
    WHERE e.run_id = :run AND e.kind = '{COMPLETE}' AND json_valid(e.payload) ORDER BY {RANK}
    """  # noqa: S608 - names of this package
)
IMAGE, PLOT = "image", "plot"


@dataclass(frozen=True)
class LoggedMedium:
    """An image or a plot.

    Attributes:
        name: What it shows.
        step: The step that it belongs to, from 0.
        form: `image` or `plot`.
        recorded_at: ISO 8601 time in UTC.
        mime: Type of the image's file; None of a plot.
        content: The bytes of the image's file; None of a plot.
        x: Places of a plot's values; None of an image.
        y: Values of each of its curves, by name.
    """

    name: str
    step: int
    form: str
    recorded_at: str
    mime: str | None = None
    content: bytes | None = None
    x: list[float | None] | None = None
    y: Mapping[str, list[float | None]] | None = None


def count_media(connection: Connection, run_id: str) -> dict[str, int]:
    """Return how many images and plots a run has, by their form: those that were logged, and those that its end tells.

    Of one name in one step, one counts.
    """
    found = connection.execute(_COUNT, {"run": run_id}).one()
    of_end = [number or 0 for (number,) in connection.execute(_PLOTS_OF_END, {"run": run_id})]
    return {IMAGE: found.images, PLOT: found.plots + (of_end[-1] if of_end else 0)}


def logged_media(connection: Connection, run_id: str) -> list[LoggedMedium]:
    """Return a run's images and plots, in the order of their first versions; of one name in one step the last one."""
    found: dict[str, LoggedMedium] = {}
    for key, payload, created_at in connection.execute(_MEDIA, {"run": run_id}):
        found[key] = _medium(json.loads(payload), created_at)
    return list(found.values())


def _medium(told: Mapping[str, Any], recorded_at: str) -> LoggedMedium:
    data = told.get("data")
    content = base64.b64decode(data) if isinstance(data, str) else None
    facts = {name: told.get(name) for name in ("mime", "x", "y")}
    return LoggedMedium(
        str(told.get("name")), int(told.get("step") or 0), str(told.get("form")), recorded_at, content=content, **facts
    )
