"""`uploader enable` has an environment record by itself; `disable` ends that."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from click.testing import CliRunner

from uploader import enabling
from uploader.__main__ import main

ROOT = Path(__file__).parents[2]
SMALL = ROOT / "tests" / "support" / "small_ultralytics"
PATHS = "import json, sys; print(json.dumps(['offline_uploader_hook' in sys.modules, sys.path]))"
TRAIN = "from ultralytics import YOLO; YOLO().train(name='enabled')"


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """The Python of an environment of its own, which has what this one has."""
    venv.create(tmp_path / "environment", with_pip=False)
    packages = next((tmp_path / "environment" / "lib").glob("python*/site-packages"))
    (packages / "aa_ours.pth").write_text(
        "\n".join([str(ROOT), *(each for each in sys.path if "site-packages" in each)])
    )
    return tmp_path / "environment" / "bin" / "python"


def run(python: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **variables}
    return subprocess.run([python, *arguments], env=environment, cwd=python.parent, capture_output=True, text=True)


def findings(python: Path, journal: str) -> tuple[int, set[str]]:
    """Return the exit code of `doctor`, and what it finds of enabling."""
    done = run(python, "-m", "uploader", "doctor", "--json", "--journal", journal)
    codes = {finding["code"] for finding in json.loads(done.stdout)["findings"]}
    return done.returncode, codes & {"enabled", "enabling-stale"}


def test_an_enabled_environment_records_until_it_is_disabled(python: Path, tmp_path: Path) -> None:
    before = json.loads(run(python, "-c", PATHS).stdout)
    enabled = run(python, "-m", "uploader", "enable")
    assert enabled.returncode == 0, enabled.stderr
    assert json.loads(run(python, "-I", "-c", PATHS).stdout)[0]  # which ignores PYTHONPATH
    assert json.loads(run(python, "-c", PATHS).stdout) == [True, before[1]]
    journal = str(tmp_path / "journal")
    left_out = run(python, "-c", TRAIN, UPLOADER_JOURNAL=journal, PYTHONPATH=str(SMALL), UPLOADER_ENABLED="0")
    assert (left_out.returncode, (tmp_path / "journal").exists()) == (0, False), left_out.stderr
    done = run(python, "-c", TRAIN, UPLOADER_JOURNAL=journal, PYTHONPATH=str(SMALL))
    assert done.returncode == 0, done.stderr
    with sqlite3.connect(tmp_path / "journal" / "journal.db") as read:
        assert read.execute("SELECT name FROM runs").fetchall() == [("enabled",)], done.stderr
    read.close()
    (file,) = json.loads(run(python, "-m", "uploader", "where", "--json").stdout)["enabled_by"]
    assert file in enabled.stdout
    assert findings(python, journal) == (0, {"enabled"})
    Path(file).write_text(Path(file).read_text("utf-8").replace("startup", "gone"), "utf-8")
    assert findings(python, journal) == (1, {"enabling-stale"})
    assert run(python, "-m", "uploader", "disable").stdout == f"Removed {file}\n"
    assert json.loads(run(python, "-c", PATHS).stdout) == before


def test_a_file_whose_folder_is_gone_says_nothing(python: Path) -> None:
    run(python, "-m", "uploader", "enable")
    (file,) = python.parents[1].glob("lib/python*/site-packages/offline_uploader.pth")
    file.write_text(file.read_text("utf-8").replace("startup", "gone"), "utf-8")
    started = run(python, "-c", PATHS)
    assert (json.loads(started.stdout)[0], started.stderr) == (False, "")


def test_what_cannot_be_written_is_said_with_a_way_out(python: Path) -> None:
    (packages,) = python.parents[1].glob("lib/python*/site-packages")
    (packages / "offline_uploader.pth").mkdir()  # nobody can write it, not even root
    done = run(python, "-m", "uploader", "enable")
    assert (done.returncode, done.stdout) == (1, "")
    assert "cannot be written" in done.stderr
    assert "uploader exec" in done.stderr
    assert not [each for each in packages.iterdir() if each.name.startswith(".offline")]
    assert run(python, "-m", "uploader", "enable", "--user").returncode == 2  # no environment of its own has that


def test_a_python_that_does_not_run_the_file_is_not_said_to_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, without = tmp_path / "offline_uploader.pth", tmp_path / "python"
    without.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    without.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(without))
    monkeypatch.setattr(enabling, "environment_file", lambda: file)
    done = CliRunner().invoke(main, ["enable"])
    assert (done.exit_code, file.exists()) == (1, True)
    assert "does not run" in done.output
