"""What the rows of one Trackio run say."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from uploader.importing.imported_run import ImportedRun, Problem
from uploader.importing.readers.collected_steps import CollectedSteps
from uploader.importing.readers.machine_samples import OF_TRACKIO, MachineSamples
from uploader.importing.readers.named_files import NamedFiles

_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
"""How Trackio writes these; it reads such text as numbers again, whoever wrote it."""


class TrackioRun:
    """A run that is put together from its rows."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._name: str | None = None
        self._began: str | None = None
        self._config: dict[str, Any] = {}
        self._steps = CollectedSteps()
        self._media: list[tuple[str, str, int]] = []
        self._samples = MachineSamples(OF_TRACKIO)
        self._times: list[datetime] = []
        self._unread = 0

    def add_metrics(self, run: str, timestamp: str, metrics: Any, step: int) -> None:
        """Take in what was logged at once."""
        values = self._mapping(metrics)
        at = self._seen(run, timestamp)
        for name, path, caption in list(_media(values)):
            self._media.append((name, path, step))
            values.update({f"{name}/caption": caption} if caption else {})
        self._steps.add(step, _numbers(values), at)

    def add_sample(self, timestamp: str, metrics: Any) -> None:
        """Take in how busy the machine was."""
        self._samples.add(_time(timestamp), _numbers(self._mapping(metrics)))

    def add_config(self, name: str, timestamp: str, config: Any) -> None:
        """Take in the configuration."""
        self._seen(name, timestamp)
        values = _numbers(self._mapping(config))
        self._config.update({name: value for name, value in values.items() if not name.startswith("_")})

    def _seen(self, name: str, timestamp: str) -> datetime | None:
        self._name = self._name or name
        self._began = self._began or timestamp
        at = _time(timestamp)
        if at is not None:
            self._times.append(at)
        return at

    def _mapping(self, text: Any) -> dict[str, Any]:
        try:
            found = json.loads(text)
        except (ValueError, TypeError):
            found = None
        if not isinstance(found, dict):
            self._unread += 1
            return {}
        return found

    def imported(self, file: Path) -> ImportedRun:
        """Return the run.

        Args:
            file: The database of its project.
        """
        files = NamedFiles(file.parent / "media", file.parent)
        for name, path, step in self._media:
            files.add(path, step, logged_as=name)
        unread = [Problem(file.name, f"{self._unread} rows of {self._name} are no JSON")] if self._unread else []
        return ImportedRun(
            source="trackio",
            identity=(file.stem, self._name or "", self._began or ""),
            project=file.stem,
            name=self._name,
            folder=file.parent,
            config=self._config,
            started_at=min(self._times, default=None),
            ended_at=max(self._times, default=None),
            steps=self._steps.steps(),
            samples=self._samples.samples() if self._began else (),  # else a later import would know it by another time
            files=files.files(),
            problems=[
                *self.problems,
                *unread,
                *self._steps.problems(f"{file.name}: {self._name}"),
                *self._samples.problems(f"{file.name}: {self._name}"),
                *files.problems(),
            ],
        )


def _numbers(values: dict[str, Any]) -> dict[str, Any]:
    return {name: _number(value) for name, value in values.items()}


def _number(value: Any) -> Any:
    if isinstance(value, dict):
        return _numbers(value)
    if isinstance(value, list):
        return [_number(each) for each in value]
    return _NOT_FINITE.get(value, value) if isinstance(value, str) else value


def _media(values: dict[str, Any], before: str = "") -> Iterator[tuple[str, str, Any]]:
    """Yield name, file and caption of what values name, and take these values away."""
    for name, value in list(values.items()):
        if not isinstance(value, dict):
            continue
        path = value.get("file_path")
        if str(value.get("_type", "")).startswith("trackio.") and isinstance(path, str):
            del values[name]
            yield f"{before}{name}", path, value.get("caption")
        else:
            yield from _media(value, f"{before}{name}/")


def _time(text: Any) -> datetime | None:
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=timezone.utc)
