"""`journal.db` is overwritten in place by an older copy: what its log holds, and what comes then, is kept."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from support.journals import Bench, bench, python, rows

import journal
from journal.clock import utc_now
from journal.doctor import examine, recover_journal
from journal.errors import CorruptJournal
from journal.records import Run
from journal.storage import log_base
from uploader.recording.journal_connection import RETRY_SECONDS
from uploader.recording.journal_options import JournalOptions
from uploader.recording.session_writer import SessionWriter

TRAIN = """
import os, signal, sys, journal
opened = journal.open(sys.argv[1])
writer = opened.writer()
run = writer.start_run(project=None, name="run", save_dir="/x")
session = writer.start_session(run.id)
for number in range(20, 40):
    writer.append(run.id, session, "epoch_end", {"epoch": number, "text": "x" * 3000}, str(number))
    if number == 29 and sys.argv[2] == "fold":
        opened.fold_wal()
os.kill(os.getpid(), signal.SIGKILL)
"""


def train(at: Bench, numbers: range) -> None:
    for number in numbers:
        at.event("epoch_end", {"epoch": number, "text": "x" * 3000}, str(number))


def overwrite(database: Path, copy: Path) -> None:
    """As a person does it: the file stays the same one."""
    subprocess.run(["cp", str(copy), str(database)], check=True)


def epochs(folder: Path) -> list[int]:
    return [number for (number,) in rows(folder, "SELECT json_extract(payload, '$.epoch') FROM events ORDER BY 1")]


@pytest.fixture(autouse=True)
def fallback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPLOADER_FALLBACK", str(tmp_path / "fallback"))


@pytest.fixture
def older(folder: Path, tmp_path: Path) -> Path:
    """A copy of the first 20 epochs."""
    with bench(folder) as at:
        train(at, range(20))
    return Path(shutil.copy(folder / "journal.db", tmp_path / "older.db"))


def killed(folder: Path, fold: str) -> None:
    """Train on in a process that is killed, so that a log is left."""
    with python(TRAIN, folder, fold) as process:
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert (folder / "journal.db-wal").stat().st_size


def test_a_log_that_builds_on_the_copy_is_taken_with_it(folder: Path, older: Path) -> None:
    killed(folder, "none")
    overwrite(folder / "journal.db", older)
    journal.open(folder).close()
    assert epochs(folder) == list(range(40))


def test_a_log_that_was_begun_on_a_newer_file_is_not_mixed_with_it(folder: Path, older: Path, tmp_path: Path) -> None:
    killed(folder, "fold")
    newer = Path(shutil.copy(folder / "journal.db", tmp_path / "newer.db"))
    overwrite(folder / "journal.db", older)
    before = {path.name: path.read_bytes() for path in folder.glob("journal.db*") if path.suffix != ".db-shm"}
    with pytest.raises(CorruptJournal, match=r"overwritten by an older copy.* doctor --repair"):
        journal.open(folder)
    [finding] = [one for one in examine(folder, fallback_folders=[]).findings if one.weight == "trouble"]
    assert finding.code == "database-overwritten"
    recovery = recover_journal(folder, utc_now())
    assert set(epochs(recovery.folder)) >= {*range(20), *range(32, 40)}  # what the copy has, and what the log has
    assert {name: (folder / name).read_bytes() for name in before} == before
    overwrite(folder / "journal.db", newer)
    journal.open(folder).close()
    assert epochs(folder) == list(range(40))


@pytest.mark.parametrize("written_since", [10, 0])
def test_a_training_goes_on_beside_it_and_nothing_is_lost_once_the_newer_file_is_back(
    folder: Path,
    older: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    written_since: int,
) -> None:
    now = [0.0]
    run = Run("22222222-2222-2222-2222-222222222222", None, "run", "/x", "2026-01-01T00:00:00.000000Z")
    session = SessionWriter(JournalOptions(str(folder)), run, lambda: now[0])
    write: Callable[[int], None] = lambda number: session.event("epoch_end", {"epoch": number}, str(number))  # noqa: E731
    for number in range(20, 40):
        write(number)
    session.maintain(wal_limit_bytes=0)
    for number in range(40, 40 + written_since):
        write(number)
    newer = Path(shutil.copy(folder / "journal.db", tmp_path / "newer.db"))
    overwrite(folder / "journal.db", older)
    log = (folder / "journal.db-wal").read_bytes()
    for number in range(40 + written_since, 60):
        write(number)
        now[0] += RETRY_SECONDS
    session.maintain(wal_limit_bytes=0)
    session.close("exited")
    assert (folder / "journal.db-wal").read_bytes()[: len(log)] == log
    assert (folder / "journal.db").read_bytes() == older.read_bytes()
    [said] = [entry for entry in caplog.records if entry.levelname == "WARNING"]
    assert "overwritten by an older copy" in said.getMessage()
    overwrite(folder / "journal.db", newer)
    with journal.open(folder) as back:
        back.fallbacks.ingest()
    assert epochs(folder) == list(range(60))


@pytest.mark.parametrize("seed", range(2))
def test_no_log_is_taken_for_a_strange_one_whoever_writes_and_folds(folder: Path, seed: int) -> None:
    chance = random.Random(seed)
    with ExitStack() as stack:
        opened = [stack.enter_context(journal.open(folder)) for _ in range(3)]
        writers = [stack.enter_context(closing(each.writer())) for each in opened]
        run = writers[0].start_run(project=None, name="run", save_dir="/x")
        sessions = [writer.start_session(run.id) for writer in writers]
        for number in range(150):
            one = chance.randrange(3)
            act: list[Callable[[], object]] = [writers[one].fold_wal, opened[one].fold_wal, writers[one].close]
            act.append(lambda: writers[one].heartbeat(sessions[one]))  # noqa: B023
            if chance.random() < 0.2:
                chance.choice(act)()
            text = "x" * chance.randrange(9000)
            writers[one].append(run.id, sessions[one], "epoch_end", {"epoch": number, "text": text}, str(number))
            assert not log_base.is_overwritten(folder / "journal.db")
    assert epochs(folder) == list(range(150))
