"""Whether a HUB has exactly what was journaled, read through HUB's own API; see `verdict`.

The expected state is derived here independently from the journal's events: one model per run, each epoch's latest
metrics (the final evaluation replaces the last epoch's), the final checkpoint with its score. What is sent only to
other platforms must not have arrived here.
"""

from __future__ import annotations

import hashlib
import json
import urllib.request
from dataclasses import dataclass
from typing import Any

from soaks.databases import queried
from soaks.drains import Job
from soaks.network_tally import NetworkTally, events, rows
from soaks.trainings import SCORE

_UNTOLD = {"lr"}


@dataclass(frozen=True)
class Hub:
    """The HUB of a local platform."""

    url: str
    key: str

    def get(self, path: str = "") -> Any:
        """Read a path below its models."""
        request = urllib.request.Request(f"{self.url}/v1/models{path}", headers={"x-api-key": self.key})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)["data"]


def compare(job: Job, url: str, key: str, _: str, tally: NetworkTally) -> None:
    """Compare a delivered journal with what a local platform's HUB has.

    Args:
        job: The journal's drains.
        url: The platform's base URL, not the proxy's.
        key: Its key.
        _: Unused, because HUB has no projects.
        tally: Receives the findings.
    """
    there = Hub(url, key)
    models, folder = there.get()["results"], job.recorded
    for (run_id,) in rows(folder, "SELECT id FROM runs ORDER BY created_at"):
        own = [model for model in models if model["data"] == run_id]
        if len(own) != 1:
            tally.note("doubled" if own else "lost", f"run {run_id} has {len(own)} models of HUB")
        for model in own[:1]:
            journaled = list(events(folder, run_id))
            _compare_metrics(there.get(f"/{model['id']}/metrics"), journaled, run_id, tally)
            _compare_weights(job, run_id, model, journaled, tally)


def _compare_metrics(
    told: list[dict[str, Any]], journaled: list[tuple[str, dict[str, Any]]], run_id: str, tally: NetworkTally
) -> None:
    epochs = _epochs(journaled)
    if told != [{"epoch": number, **epochs[number]} for number in sorted(epochs)]:
        tally.note("lost", f"run {run_id}: HUB received {told} instead of {epochs}")


def _epochs(journaled: list[tuple[str, dict[str, Any]]]) -> dict[int, dict[str, Any]]:
    """Return the metrics of each epoch; those without validation losses are from the final evaluation."""
    epochs: dict[int, dict[str, Any]] = {}
    latest = 0
    for data in (data for kind, data in journaled if kind == "epoch_end"):
        latest = data["epoch"] if "val/loss" in data["metrics"] else latest
        epochs[latest] = {name: value for name, value in data["metrics"].items() if name not in _UNTOLD}
    return epochs


def _compare_weights(
    job: Job, run_id: str, model: dict[str, Any], journaled: list[tuple[str, dict[str, Any]]], tally: NetworkTally
) -> None:
    saved = [data for kind, data in journaled if kind == "checkpoint"]
    best, last = model["checkpoints"].get("best") or {}, model["checkpoints"].get("last")
    [final] = (data["sha256"] for data in saved if data["role"] == "final")
    score = [data["metrics"][SCORE] for kind, data in journaled if kind == "epoch_end"][-1]
    if (best.get("sha256"), best.get("map"), model["status"]) != (final, score, "trained"):
        tally.note("lost", f"run {run_id}: HUB has {best} and {model['status']} instead of {final} with {score}")
    newest = [data["sha256"] for data in saved if data["role"] == "last"][-1:]
    there = [last["sha256"]] if last else []
    if there != newest and not _was_superseded(job, run_id, newest):
        tally.note("lost", f"run {run_id}: HUB has {last} as its last checkpoint instead of {newest}")
    for kind, url in (("best", model["weights"]), ("last", model["resume"])):
        if model["checkpoints"].get(kind) and _digest(url) != model["checkpoints"][kind]["sha256"]:
            tally.note("torn", f"run {run_id}: the bytes of HUB's {kind} checkpoint")


def _was_superseded(job: Job, run_id: str, newest: list[str]) -> bool:
    """Tell whether the newest checkpoint may be missing, because the final one was already in transit."""
    query = """SELECT run_id, sha256 FROM deliveries JOIN destinations ON destinations.id = destination_id
        WHERE platform = 'hub' AND state = 'superseded'"""
    return (run_id, *newest) in queried(job, query)


def _digest(url: str) -> str:
    with urllib.request.urlopen(url) as answer:
        return hashlib.sha256(answer.read()).hexdigest()
