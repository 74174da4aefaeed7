"""What is too large for an event costs neither the training nor its memory, and is recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.journals import finish, python, rows

from journal.writing.payloads import LONGEST_PAYLOAD

pytestmark = pytest.mark.upstream  # which tensors are among what is recorded

RECORD = """
import resource, sys
from pathlib import Path
from uploader.recording.recorder import Recorder
from uploader.recording.journal_options import JournalOptions
options = JournalOptions(journal=sys.argv[1])
recorder = Recorder.start(options, project=None, name="run", save_dir=Path(sys.argv[2]), resume=False)
recorder.event("warm", {})
import numpy, torch
payload = %s
unit = 1 if sys.platform == "darwin" else 1024
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
recorder.event("epoch_end", payload, "3")
grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit
recorder.event("epoch_end", {"epoch": 4}, "4")
recorder.finish("complete")
print(grown)
"""


def record(folder: Path, save_dir: Path, payload: str) -> tuple[int, dict[str, Any]]:
    """Record a payload in a process of its own; return how its memory grew, and what is in the journal."""
    (grown,) = finish([python(RECORD % payload, folder, save_dir)])
    found = rows(folder, "SELECT payload FROM events WHERE kind = 'epoch_end' ORDER BY id")
    assert len(found) == 2
    assert len(found[0][0]) <= LONGEST_PAYLOAD
    return int(grown), json.loads(found[0][0])


def told(folder: Path) -> list[str]:
    found = rows(folder, "SELECT payload FROM events WHERE kind = 'given_up'")
    return [item["what"] for (payload,) in found for item in json.loads(payload)["items"]]


def test_a_million_metrics(folder: Path, save_dir: Path) -> None:
    payload = '{"epoch": 3, "metrics": {f"metrics/of/{n}": n / 7 for n in range(1_000_000)}}'
    grown, kept = record(folder, save_dir, payload)
    assert kept["epoch"] == 3
    assert len(kept["metrics"]) > 100_000
    assert told(folder) == ["parts of metrics"]
    assert grown < 500 << 20


def test_text_of_200_mb(folder: Path, save_dir: Path) -> None:
    grown, kept = record(folder, save_dir, '{"epoch": 3, "note": "x" * (200 << 20)}')
    assert kept["note"].endswith("characters left out")
    assert told(folder) == ["parts of note"]
    assert grown < 900 << 20


def test_arrays_of_200_mb(folder: Path, save_dir: Path) -> None:
    payload = '{"epoch": 3, "a": numpy.zeros((5_000, 5_000)), "t": torch.zeros(50_000_000)}'
    grown, kept = record(folder, save_dir, payload)
    assert kept == {"epoch": 3, "a": "25000000 numbers left out", "t": "50000000 numbers left out"}
    assert grown < 50 << 20
