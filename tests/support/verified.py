"""Trainings with everything that a platform shows of one, and their verification."""

from __future__ import annotations

from typing import Any

from support.journals import rows
from support.recordings import KEY, Recordings, Training
from support.settings import settings

from uploader.verification.runs import chosen_targets, verify_targets
from uploader.verification.verifying import Verified

PLOTS = [{"type": "pr", "x": [0.0, 0.5, 1.0], "y": [1.0, 0.75, None]}, {"type": "f1", "y": [0.1, 0.2]}]


def trained(at: Recordings, name: str = "train", *, epochs: int = 4, size: int = 5000) -> Training:
    """Record a training that has everything."""
    training = at.begin(name)
    [(uuid,)] = rows(at.journal.path, "SELECT uuid FROM sessions WHERE id = ?", training.session_id)
    session = {"uuid": uuid, "generation": 1, "parent": None}
    environment = {"uploaderRun": training.run.id, "uploaderSession": session, "hostname": "host", "cpuCount": 8}
    training.event(
        "training_started",
        {"trainArgs": {"epochs": "4", "lr0": "0.01"}, "epochs": epochs, "environment": environment, "device": "cpu"},
        "1",
    )
    for number in range(epochs):
        training.console(2 * number, f"Epoch {number}\n  box_loss é")
        training.console(2 * number + 1, f"val {number}")
        metrics = {"train/box_loss": 1 / (number + 3), "val/box_loss": None, "metrics/mAP50(B)": 0.1 * number}
        data = {"epoch": number, "metrics": metrics, "fitness": 0.1 * number, "system": {"cpu": 0.5}}
        training.event("epoch_end", data, str(number))
    training.checkpoint((f"weights of {name}".encode() * size)[:size])
    results = {"metrics": {"metrics/mAP50(B)": 0.3, "fitness": 0.3}, "bestEpoch": 3, "bestFitness": 0.3}
    training.event("training_complete", {"results": results, "classNames": ["box", "ball"], "plots": PLOTS})
    training.end()
    return training


def verified(at: Recordings, url: str, *names: str, hub: str | None = None, **options: Any) -> list[Verified]:
    """Verify runs where a platform, and maybe a HUB, are configured."""
    known = settings(KEY, url, hub_key=KEY, hub=hub, default_project="offline-runs")
    return list(verify_targets(at.journal, chosen_targets(at.journal, names, None), settings=known, **options))


def said(one: Verified) -> list[tuple[str, str, str]]:
    """Return what is not proven, and what is wrong where that is the platform."""
    found = [(finding.item, finding.word, finding.why) for finding in one.findings]
    return [*found, *([("", "failed", str(one.failure))] if one.failure else [])]
