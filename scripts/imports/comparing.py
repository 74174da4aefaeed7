"""Compares what two journals have of one training: one that recorded it, and one that its folder was imported into."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

UNKNOWN_TO_FOLDERS: Mapping[str, str] = {
    "training_started.environment": "the machine; `ultralyticsVersion` and the state of the repository are known",
    "training_started.system": "the machine's load",
    "epoch_end.system": "the machine's load",
    "epoch_end.fitness": "known of no epoch but in its checkpoint",
    "epoch_end.best_fitness": "the same",
    "epoch_end.modelInfo.gflops": "no file has it",
    "epoch_end.modelInfo.speedMs": "no file has it",
    "training_complete.plots": "the plots are pictures there",
    "training_complete.results.validation": "no file has the images' own results",
}
"""Fields that only a recorded training has."""
ROUNDED = ("training_complete.results.metrics",)
"""Those of the final evaluation, which is that of the best epoch again, in other batches: they may differ a little."""
_ADDED = ("epoch_end.source", "training_started.environment.imported")
_OF_THE_RUN = ("uploaderRun", "uploaderSession")


def differences(recorded: Path, imported: Path) -> Iterator[str]:
    """Yield each field that both journals should have alike and do not, of the one run that each has."""
    one, other = _told(recorded), _told(imported)
    for what in sorted(one.keys() | other.keys()):
        if not _is_expected(what, one.get(what), other.get(what)):
            yield f"{what}: recorded {one.get(what)!r}, imported {other.get(what)!r}"


def missing_pictures(folder: Path, imported: Path) -> Iterator[str]:
    """Yield the pictures of a folder that are not in a journal as they are; a recording has data in their place.

    Args:
        folder: The run's.
        imported: The journal that it was imported into.
    """
    query = "SELECT json_extract(payload, '$.name'), json_extract(payload, '$.data') FROM events WHERE kind = 'media'"
    with closing(sqlite3.connect(imported / "journal.db")) as database:
        there = {name: base64.b64decode(data) for name, data in database.execute(query)}
    pictures = {each.name: each.read_bytes() for each in folder.iterdir() if each.suffix in (".png", ".jpg")}
    if not pictures:
        yield "the folder has no pictures"
    for name in sorted(pictures.keys() | there.keys()):
        if pictures.get(name) != there.get(name):
            yield f"{name}: in the folder {name in pictures}, imported {name in there}"


def _is_expected(what: str, recorded: Any, imported: Any) -> bool:
    field = _field(what)
    if field.startswith(_ADDED) or recorded == imported:
        return True
    if field.startswith(ROUNDED) and isinstance(imported, float):
        return abs(recorded - imported) <= 0.05
    return imported in (None, []) and field.startswith(tuple(UNKNOWN_TO_FOLDERS))


def _field(what: str) -> str:
    """Return the name of a field without the key of its event."""
    event, _, rest = what.partition(".")
    return f"{event.partition(' ')[0]}.{rest}"


def _told(journal: Path) -> dict[str, Any]:
    """Return each field of the newest event of each kind and key, but for console, saves, and the final evaluation."""
    query = """
      SELECT e.kind, e.key, e.payload FROM events e JOIN sessions s ON s.id = e.session_id
      WHERE e.kind IN ('training_started', 'epoch_end', 'checkpoint', 'training_complete')
      ORDER BY s.generation, e.seq"""
    with closing(sqlite3.connect(journal / "journal.db")) as database:
        (run,) = database.execute("SELECT project || '/' || name FROM runs").fetchall()
        events = {(kind, key): json.loads(payload) for kind, key, payload in database.execute(query)}
    told: dict[str, Any] = {"run.name": run}
    for (kind, key), payload in events.items():
        is_evaluation = kind == "epoch_end" and not any(name.startswith("val/") for name in payload["metrics"])
        if not is_evaluation and (kind, key) not in {("checkpoint", "last"), ("checkpoint", "best")}:
            told.update(_flat(payload, f"{kind} {key}"))
    return told


def _flat(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, dict):
        yield name, value
        return
    for inner, content in value.items():
        if inner not in _OF_THE_RUN:
            yield from _flat(content, f"{name}.{inner}")
