"""The benches run, if only for a round: their figures mean nothing here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


def bench(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benches", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def test_a_bench_prints_a_table_and_writes_its_figures(tmp_path: Path) -> None:
    done = bench("startup", "--quick", "--folder", tmp_path, "--json", tmp_path / "figures.json")
    assert done.returncode == 0, done.stderr
    assert "| p50 |" in " ".join(done.stdout.split())
    figures = json.loads((tmp_path / "figures.json").read_text())
    (table,) = figures["benches"]["startup"]["tables"]
    assert [row["count"] for row in table["rows"]] == [1] * 10
    assert table["rows"][0]["ratio"] == 1
    assert figures["machine"]["SQLite"]
    assert list(tmp_path.iterdir()) == [tmp_path / "figures.json"]


@pytest.mark.parametrize("name", ["drain", "memory", "upload"])
def test_the_drains_of_a_bench_deliver_everything(name: str, tmp_path: Path) -> None:
    done = bench(name, "--quick", "--folder", tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_bench_proves_a_run_and_checks_the_proof(tmp_path: Path) -> None:
    done = bench("proof", "--quick", "--folder", tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_bench_that_there_is_not_is_refused() -> None:
    done = bench("speed")
    assert done.returncode == 2
    assert "no such bench: speed" in done.stderr
