"""`python -m uploader doctor`: what people and scripts see of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.damage import overwrite
from support.journals import ROOT, bench, rows
from support.recordings import recordings
from support.results import killed


@pytest.fixture(autouse=True)
def _no_stray_fallback_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("UPLOADER_FALLBACK", str(tmp_path / "fallback"))


def doctor(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "uploader", "doctor", "--journal", str(folder), *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def journal_of(folder: Path, events: int) -> Path:
    with bench(folder) as at:
        for number in range(events):
            at.event("console_output", {"content": f"line {number} " * 40})
        at.checkpoint(b"weights", role="final")
        at.outbox.fold_wal()
    return folder


def test_a_healthy_journal_passes(tmp_path: Path) -> None:
    done = doctor(journal_of(tmp_path / "journal", 3))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0].partition(": ")[2].startswith("healthy, 4 events, 1 checkpoint, 1")


def test_a_mistyped_folder_is_not_made(tmp_path: Path) -> None:
    done = doctor(tmp_path / "jornal")
    assert done.returncode == 1
    assert "--journal" in done.stdout
    assert not (tmp_path / "jornal").exists()


def test_a_damaged_journal_is_copied_as_far_as_it_can_be_read(tmp_path: Path) -> None:
    folder = journal_of(tmp_path / "journal", 300)
    overwrite(folder / "journal.db", 45 * 4096, b"\xa5" * 4096)
    assert doctor(folder).returncode == 1
    done = doctor(folder, "--repair", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["healthy"]) == (1, False)
    assert {finding["code"] for finding in told["findings"]} == {"database-damaged"}
    recovery = told["repairs"]["recovery"]
    assert recovery["lost"]
    assert 280 < recovery["kept"]["events"] < 301
    again = doctor(Path(recovery["folder"]))
    assert again.returncode == 0, again.stdout
    shutil.rmtree(recovery["folder"])  # a second one may have the same name, which is the time in seconds
    told = doctor(folder, "--repair").stdout
    assert "rename the new one to journal" in told
    assert ", 1 run, 1 session, " in told


@pytest.mark.parametrize("which", ["", "hub"])  # the second one is where models of HUB are kept
def test_permissions_are_mended_in_place(tmp_path: Path, which: str) -> None:
    folder = journal_of(tmp_path / "journal", 3)
    opened = folder / which
    opened.mkdir(exist_ok=True)
    opened.chmod(0o755)
    assert doctor(folder).returncode == 1
    done = doctor(folder, "--repair")
    assert done.returncode == 0
    assert f"{folder}: healthy, " in done.stdout
    assert "trouble" not in done.stdout
    assert f"permissions away from {opened}" in done.stdout
    assert opened.stat().st_mode & 0o777 == 0o700
    assert doctor(folder).returncode == 0


def test_epochs_that_only_the_trainer_has_are_named_and_taken_in(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    with recordings(folder) as journals:
        training = killed(journals, 0, 3, 4, trained=2, outcome="complete", ended_at="2026-01-01T00:00:00.000Z")
    name = f"train ({training.run.id})"
    before = rows(folder, "SELECT count(*) FROM events")
    done = doctor(folder)
    assert done.returncode == 1
    assert f"not in the journal, but in a results.csv: epoch 2 of demo/{name} in {training.run.save_dir}" in done.stdout
    assert f"neither in the journal nor in a results.csv here: epoch 3 of demo/{name}" in done.stdout
    assert rows(folder, "SELECT count(*) FROM events") == before
    told = json.loads(doctor(folder, "--repair", "--json").stdout)
    assert (told["healthy"], told["repairs"]) == (True, {"epochs": {training.run.id: [1]}})
    assert [finding["code"] for finding in told["findings"]] == ["epochs-missing"]
    keys = [key for (key,) in rows(folder, "SELECT key FROM events WHERE kind = 'epoch_end' ORDER BY id")]
    assert keys == ["0", "3", "4", "1"]
