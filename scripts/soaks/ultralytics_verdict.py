"""Whether Ultralytics Platform has exactly what was journaled, read through its own API; see `verdict`."""

from __future__ import annotations

import hashlib
import json
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from journal.kinds import INTENTS
from soaks.drains import Job
from soaks.network_tally import NetworkTally, events, rows


@dataclass(frozen=True)
class Place:
    """A project of a local platform."""

    url: str
    key: str
    project: str

    def get(self, path: str) -> Any:
        """Read a path below the project."""
        address = f"{self.url}/api/models/local/{self.project}{path}"
        request = urllib.request.Request(address, headers={"Authorization": f"Bearer {self.key}"})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)


def compare(job: Job, url: str, key: str, project: str, tally: NetworkTally) -> None:
    """Compare a delivered journal with what a local platform has in a project.

    Args:
        job: The journal's drains.
        url: The platform's base URL, not the proxy's.
        key: Its key.
        project: The project of all runs of the journal, and of nothing else.
        tally: Receives the findings.
    """
    there = Place(url, key, project)
    models, folder = there.get("")["models"], job.recorded
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
    journaled = list(events(folder, run_id))
    epochs = {data["epoch"]: data for kind, data in journaled if kind == "epoch_end"}
    there = [{name: value for name, value in each.items() if name != "timestamp"} for each in model["trainResults"]]
    if there != [epochs[number] for number in sorted(epochs)]:
        tally.note("lost", f"run {run_id}: epochs {there} instead of {epochs}")
    _compare_console([data["content"] for kind, data in journaled if kind == "console_output"], model, tally)
    sessions = sum(kind == "training_started" for kind, _ in journaled)
    if len(model["runIds"]) != sessions:
        figure = "doubled" if len(model["runIds"]) > sessions else "lost"
        tally.note(figure, f"run {run_id}: {len(model['runIds'])} runs for {sessions} sessions")
    told = [kind for kind, _ in journaled if kind not in INTENTS]
    expected = "completed" if told[-1] == "training_complete" else "failed"
    if model["status"] != expected:
        tally.note("lost", f"run {run_id} is {model['status']} instead of {expected}")


def _compare_console(printed: list[str], model: dict[str, Any], tally: NetworkTally) -> None:
    shown = "\n".join(chunk["content"] for chunk in model["consoleChunks"])
    expected = "\n".join(printed)
    if shown != expected:
        figure = "doubled" if len(shown) > len(expected) else "lost"
        tally.note(figure, f"console of {model['id']}: {shown!r} instead of {expected!r}")


def _compare_weights(folder: Path, run_id: str, there: Place, model: dict[str, Any], tally: NetworkTally) -> None:
    saved = {data["sha256"]: data for kind, data in events(folder, run_id) if kind == "checkpoint"}
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
