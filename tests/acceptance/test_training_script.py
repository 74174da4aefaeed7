"""The real training that the other acceptance tests stand on: it learns, repeats itself, dies and resumes."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from dataset import make_dataset

SCRIPT = Path(__file__).parents[2] / "scripts" / "training" / "train.py"

pytestmark = pytest.mark.training


def train(*arguments: str | Path) -> int:
    return subprocess.run([sys.executable, SCRIPT, "--callbacks", "none", *arguments]).returncode


def epochs(save_dir: Path) -> list[dict[str, str]]:
    with (save_dir / "results.csv").open() as lines:
        return [{key: value for key, value in row.items() if key != "time"} for row in csv.DictReader(lines)]


def test_a_data_set_is_drawn_the_same_again(tmp_path: Path) -> None:
    first, second = (make_dataset(tmp_path / name, train=2, val=1).parent for name in ("first", "second"))
    drawn = sorted(path.relative_to(first) for path in first.glob("*/*/*"))
    assert len(drawn) == 6
    assert all((first / path).read_bytes() == (second / path).read_bytes() for path in drawn)


def test_a_training_learns_and_a_killed_one_resumes(training_data: Path, tmp_path: Path) -> None:
    start = ("--data", training_data, "--epochs", "2")
    assert train(*start, "--save-dir", tmp_path / "whole") == 0
    assert train(*start, "--save-dir", tmp_path / "killed", "--kill-after-epoch", "1") == -signal.SIGKILL

    whole, killed = epochs(tmp_path / "whole"), epochs(tmp_path / "killed")
    assert killed == whole[:1]  # two trainings, the same numbers
    assert float(whole[1]["train/box_loss"]) < float(whole[0]["train/box_loss"])

    assert train("--resume", tmp_path / "killed" / "weights" / "last.pt") == 0
    assert [row["epoch"] for row in epochs(tmp_path / "killed")] == ["1", "2"]
