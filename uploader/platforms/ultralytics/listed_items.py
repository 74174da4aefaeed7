"""What the platform lists beside a run's model, as items: images and plots, conversions, datasets. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from uploader.platforms.base import conversion_key
from uploader.platforms.reading_back import Place

NOTE = "offlineUploader"
"""The key of a dataset's metadata under which the files are that were taken in."""
_OVER = frozenset({"failed", "cancelled"})


def medium(told: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Return an image's or a plot's key, and its value: in the place of a file the sha256 of its base64."""
    value = {name: each for name, each in told.items() if name not in {"data", "timestamp"}}
    if isinstance(data := told.get("data"), str):
        value["sha256"] = hashlib.sha256(data.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{told.get('step')} {told.get('name')}", {"content": value}


def media(answer: Mapping[str, Any]) -> dict[Place, list[Mapping[str, Any]]]:
    """Return the images and plots of a list."""
    return {("media", key): [value] for key, value in map(medium, _objects(answer.get("media")))}


def conversions(answer: Mapping[str, Any]) -> dict[Place, list[Mapping[str, Any]]]:
    """Return the conversions of a list, which has the newest first; of the same ones those that go on come first."""
    found: dict[Place, list[Mapping[str, Any]]] = {}
    listed = sorted(_objects(answer.get("exports")), key=lambda each: each.get("status") in _OVER)
    for each in listed:
        args = each.get("args") if isinstance(each.get("args"), dict) else {}
        place: Place = ("conversion", conversion_key(str(each.get("format")), args or {}))
        found.setdefault(place, []).append({**each, "args": args})
    return found


def dataset(slug: str, answer: Mapping[str, Any]) -> dict[Place, list[Mapping[str, Any]]]:
    """Return a dataset."""
    known = answer.get("dataset")
    if not isinstance(known, dict):
        return {}
    return {("dataset", slug): [{"status": known.get("status"), "files": noted(known)}]}


def noted(dataset: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return which files were taken into a dataset: their names by their sha256."""
    metadata = dataset.get("metadata")
    files = metadata.get(NOTE) if isinstance(metadata, dict) else None
    return files if isinstance(files, dict) else {}


def _objects(listed: object) -> Iterator[dict[str, Any]]:
    yield from (each for each in (listed if isinstance(listed, list) else []) if isinstance(each, dict))
