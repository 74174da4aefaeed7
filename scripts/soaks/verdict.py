"""Whether the platform has exactly what was journaled: read by SQLite on one side, by HTTP on the other."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any


@dataclass
class NetworkTally:
    """The figures of one suite; all from `stuck` on must be zero.

    Attributes:
        rounds: Schedules.
        drains: Drains that it took.
        kills: Drains that were ended by SIGKILL.
        stops: Drains that were told to end by SIGTERM.
        requests: Requests that arrived at the proxy.
        faults: How often each fault happened.
        stuck: Schedules that came to no end.
        broken: Drains that ended by an error of their own.
        lost: Things that are in the journal and not on the platform.
        doubled: Things that the platform has and should not: models, runs, text.
        torn: Checkpoints whose bytes are not those that were journaled.
        leaked: Requests that followed a redirect.
        notes: What was found, for people.
    """

    rounds: int = 0
    drains: int = 0
    kills: int = 0
    stops: int = 0
    requests: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    stuck: int = 0
    broken: int = 0
    lost: int = 0
    doubled: int = 0
    torn: int = 0
    leaked: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def damaged(self) -> int:
        """What is wrong besides what is lost."""
        return self.stuck + self.broken + self.doubled + self.torn + self.leaked

    def add(self, other: NetworkTally) -> None:
        """Add another's figures to these."""
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))

    def note(self, figure: str, what: str) -> None:
        """Count something that is wrong."""
        setattr(self, figure, getattr(self, figure) + 1)
        self.notes.append(f"{figure}: {what}")


def rows(folder: Path, query: str, *values: object) -> list[tuple[Any, ...]]:
    """Read a journal by a connection of its own."""
    with closing(sqlite3.connect(folder / "journal.db")) as connection:
        return connection.execute(query, values).fetchall()


@dataclass(frozen=True)
class Place:
    """A project of a local platform."""

    url: str
    key: str
    project: str

    def get(self, path: str) -> Any:
        """Read what is at a path below the project."""
        address = f"{self.url}/api/models/local/{self.project}{path}"
        request = urllib.request.Request(address, headers={"Authorization": f"Bearer {self.key}"})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)


def compare(folder: Path, url: str, key: str, project: str, tally: NetworkTally) -> None:
    """Compare a journal that was delivered with what a local platform has in a project.

    Args:
        folder: The journal.
        url: The platform's base URL, not the proxy's.
        key: Its key.
        project: All the journal's runs are in it, and nothing else.
        tally: Takes what is found.
    """
    for state, kind in rows(
        folder, "SELECT state, kind FROM deliveries WHERE state NOT IN ('delivered', 'superseded')"
    ):
        tally.note("lost", f"a delivery of {kind} is {state}")
    there = Place(url, key, project)
    models = there.get("")["models"]
    runs = [run_id for (run_id,) in rows(folder, "SELECT id FROM runs ORDER BY created_at")]
    for run_id in runs:
        own = [model for model in models if (model.get("environment") or {}).get("uploaderRun") == run_id]
        if len(own) != 1:
            tally.note("doubled" if own else "lost", f"run {run_id} has {len(own)} models")
        for model in own[:1]:
            _compare_run(folder, run_id, model, tally)
            _compare_weights(folder, run_id, there, model, tally)
    if len(models) > len(runs):
        tally.note("doubled", f"{len(models)} models for {len(runs)} runs")


def _compare_run(folder: Path, run_id: str, model: dict[str, Any], tally: NetworkTally) -> None:
    events = list(_events(folder, run_id))
    epochs = {data["epoch"]: data for kind, data in events if kind == "epoch_end"}
    there = [{name: value for name, value in each.items() if name != "timestamp"} for each in model["trainResults"]]
    if there != [epochs[number] for number in sorted(epochs)]:
        tally.note("lost", f"run {run_id}: epochs {there} instead of {epochs}")
    _compare_console([data["content"] for kind, data in events if kind == "console_output"], model, tally)
    sessions = sum(kind == "training_started" for kind, _ in events)
    if len(model["runIds"]) != sessions:
        figure = "doubled" if len(model["runIds"]) > sessions else "lost"
        tally.note(figure, f"run {run_id}: {len(model['runIds'])} runs for {sessions} sessions")
    expected = "completed" if events[-1][0] == "training_complete" else "failed"
    if model["status"] != expected:
        tally.note("lost", f"run {run_id} is {model['status']} instead of {expected}")


def _compare_console(printed: list[str], model: dict[str, Any], tally: NetworkTally) -> None:
    shown = "\n".join(chunk["content"] for chunk in model["consoleChunks"])
    expected = "\n".join(printed)
    if shown != expected:
        figure = "doubled" if len(shown) > len(expected) else "lost"
        tally.note(figure, f"console of {model['id']}: {shown!r} instead of {expected!r}")


def _compare_weights(folder: Path, run_id: str, there: Place, model: dict[str, Any], tally: NetworkTally) -> None:
    saved = {data["sha256"]: data for kind, data in _events(folder, run_id) if kind == "checkpoint"}
    final = next(sha256 for sha256, data in saved.items() if data["role"] == "final")
    if (model.get("file") or {}).get("sha256") != final:
        tally.note("lost", f"run {run_id}: the model is not its final checkpoint")
    listed = [(each["runId"], each["sha256"]) for each in model["checkpoints"]]
    if len(set(listed)) != len(listed) or not {sha256 for _, sha256 in listed} <= saved.keys():
        tally.note("torn", f"run {run_id}: checkpoints {listed}")
    for file in there.get(f"/{model['model']}/files")["files"]:
        with urllib.request.urlopen(file["downloadUrl"]) as answer:
            if hashlib.sha256(answer.read()).hexdigest() not in saved:
                tally.note("torn", f"run {run_id}: the bytes of {file['name']}")


def _events(folder: Path, run_id: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for kind, payload in rows(folder, "SELECT kind, payload FROM events WHERE run_id = ? ORDER BY id", run_id):
        yield kind, json.loads(payload)
