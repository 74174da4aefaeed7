"""All that a source knows of a run, as a ZIP file that is made on the way."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from uploader.dashboard import page_json
from uploader.dashboard.run_source import RunSource, UnknownRun
from uploader.dashboard.shown import CheckpointLine, Columns, Download, Picture
from uploader.dashboard.zip_stream import File, zipped

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def archive(source: RunSource, key: str) -> tuple[Download, Iterator[bytes]]:
    """Return a run's archive: its facts, epochs, console, pictures, and those checkpoints that are there.

    Raises:
        UnknownRun: It is not there.
    """
    news = source.news(key)
    files = _Files(source, key, news.facts.checkpoints if news.facts else ())
    told = {"key": key, **page_json.news(news)}
    return Download(f"{_safe(key)}.zip", "application/zip"), zipped(files.all(told, news.epochs, news.system))


class _Files:
    """The files of an archive, each read when its turn comes."""

    def __init__(self, source: RunSource, key: str, checkpoints: Sequence[CheckpointLine]) -> None:
        self._source = source
        self._key = key
        self._checkpoints = checkpoints
        self._names: set[str] = set()

    def all(self, told: dict[str, Any], epochs: Columns, system: Columns) -> Iterator[File]:
        facts = {name: told[name] for name in ("key", "line", "facts") if name in told}
        yield self._json("run.json", facts)
        for name in ("arguments", "environment", "results"):
            yield self._json(f"{name}.json", facts.get("facts", {}).get(name) or {})
        yield self._json("epochs.json", _rows(epochs))
        yield self._name("epochs.csv"), [_csv(epochs)]
        if system.at:
            yield self._json("system.json", _rows(system))
        yield self._name("console.txt"), (part.encode("utf-8", "replace") for part in self._source.console(self._key))
        for picture in self._source.pictures(self._key):
            yield self._picture(picture)
        for checkpoint in self._checkpoints:
            if checkpoint.download and checkpoint.sha256:
                yield from self._checkpoint(checkpoint.name, checkpoint.sha256)

    def _json(self, name: str, value: Any) -> File:
        return self._name(name), [page_json.as_json(value)]

    def _picture(self, picture: Picture) -> File:
        step = "" if picture.step is None else f"-epoch-{picture.step + 1}"
        name = f"pictures/{_safe(picture.name)}{step}"
        if picture.image is None:
            return self._json(f"{name}.json", picture.plot)
        head, _, content = picture.image.partition(",")
        ending = head.partition("/")[2].partition(";")[0]
        return self._name(f"{name}.{_safe(ending)}"), [base64.b64decode(content)]

    def _checkpoint(self, name: str, sha256: str) -> Iterator[File]:
        try:
            _, content = self._source.checkpoint(self._key, sha256)
        except UnknownRun:  # it was deleted meanwhile
            return
        yield self._name(f"checkpoints/{_safe(name)}"), content

    def _name(self, name: str) -> str:
        """Return a name that no other file has, and that no system takes for another one."""
        stem, dot, ending = name.rpartition(".")
        number, chosen = 2, name
        while chosen.lower() in self._names:
            chosen, number = f"{stem}-{number}{dot}{ending}", number + 1
        self._names.add(chosen.lower())
        return chosen


def _rows(columns: Columns) -> list[dict[str, Any]]:
    """Return columns as a row for each epoch or moment, without what it has no value of."""
    named = {"at": columns.at, "time": columns.times, "arrived": columns.arrived, "milliseconds": columns.took}
    places = {name: values for name, values in named.items() if values}
    values = {name: list(column) for name, column in columns.values.items()}
    return [
        {name: column[place] for name, column in places.items()}
        | {"values": {name: column[place] for name, column in values.items() if column[place] is not None}}
        for place in range(len(columns.at))
    ]


def _csv(columns: Columns) -> bytes:
    """Return epochs as CSV, counted from 1, as people count them."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["epoch", "time", *columns.values])
    for place, epoch in enumerate(columns.at):
        values = [column[place] for column in columns.values.values()]
        time = columns.times[place] if columns.times else ""
        writer.writerow([int(epoch) + 1, time, *("" if value is None else json.dumps(value) for value in values)])
    return text.getvalue().encode("utf-8", "replace")


def _safe(name: str) -> str:
    return _UNSAFE.sub("-", name).strip("-.")[:100] or "run"
