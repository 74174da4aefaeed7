"""A journal from which something was delivered has a mark that its older copies lack."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from support.journals import bench

import journal
from journal.doctor import examine
from journal.storage import newest


def mark(folder: Path) -> None:
    """Mark the journal as a drain does when it ends."""
    with journal.open(folder) as opened, closing(opened.outbox()) as outbox:
        outbox.copies.mark_newest()
        assert outbox.fold_wal()


def write(folder: Path, *epochs: int) -> None:
    with bench(folder) as at:
        for epoch in epochs:
            at.event("epoch_end", {"epoch": epoch}, str(epoch))


def is_older(folder: Path) -> bool:
    with journal.open(folder) as opened, closing(opened.outbox()) as outbox:
        told = outbox.copies.is_elsewhere()
    noticed = "database-older" in {one.code for one in examine(folder, fallback_folders=[]).findings}
    assert noticed <= told
    return noticed


def overwrite(folder: Path, copy: Path) -> None:
    shutil.copyfile(copy, folder / "journal.db")


@pytest.mark.parametrize("is_marked", [True, False])
def test_an_older_copy_stays_one_whatever_is_written_to_it(folder: Path, tmp_path: Path, is_marked: bool) -> None:
    write(folder, 0)
    if is_marked:
        mark(folder)
    older = Path(shutil.copy(folder / "journal.db", tmp_path / "older.db"))
    write(folder, 1, 2)
    mark(folder)
    latest = Path(shutil.copy(folder / "journal.db", tmp_path / "latest.db"))
    assert not is_older(folder)
    overwrite(folder, older)
    assert is_older(folder)
    for _ in range(5):
        write(folder, 1)
        mark(folder)
    assert is_older(folder)
    overwrite(folder, latest)
    assert not is_older(folder)
    mark(folder)
    assert not is_older(folder)
    overwrite(folder, latest)  # which is an older copy by now
    assert is_older(folder)


def vacuum_into(database: Path, other: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("VACUUM INTO ?", (str(other),))


def back_up(database: Path, other: Path) -> None:
    with closing(sqlite3.connect(database)) as connection, closing(sqlite3.connect(other)) as copy:
        connection.backup(copy)


@pytest.mark.parametrize("rebuild", [vacuum_into, back_up])
def test_what_was_rebuilt_from_the_newest_is_no_older_copy(
    folder: Path, tmp_path: Path, rebuild: Callable[[Path, Path], None]
) -> None:
    write(folder, *range(100))
    for _ in range(5):
        mark(folder)
    rebuild(folder / "journal.db", tmp_path / "rebuilt.db")
    (tmp_path / "rebuilt.db").replace(folder / "journal.db")
    assert not is_older(folder)


def test_a_mark_that_was_not_noted_any_more_is_no_cause_for_alarm(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder, 0)
    mark(folder)
    with monkeypatch.context() as patch:
        patch.setattr(newest, "note", lambda *_: None)  # killed just before, more than once
        mark(folder)
        mark(folder)
    unnoted = Path(shutil.copy(folder / "journal.db", tmp_path / "unnoted.db"))
    assert not is_older(folder)
    mark(folder)
    assert not is_older(folder)
    overwrite(folder, unnoted)
    assert is_older(folder)


def test_the_number_that_an_earlier_version_noted_is_compared(folder: Path, tmp_path: Path) -> None:
    write(folder, 0)
    older = Path(shutil.copy(folder / "journal.db", tmp_path / "older.db"))
    write(folder, 1, 2)
    mark(folder)
    number = int.from_bytes((folder / "journal.db").read_bytes()[24:28], "big")
    (folder / "journal.db-newest").write_text(f"{number}\n", encoding="ascii")
    assert not is_older(folder)
    latest = Path(shutil.copy(folder / "journal.db", tmp_path / "latest.db"))
    overwrite(folder, older)
    assert is_older(folder)
    overwrite(folder, latest)
    mark(folder)
    assert not is_older(folder)
    assert not (folder / "journal.db-newest").read_text(encoding="ascii").strip().isdigit()


@pytest.mark.parametrize("held", [b"\xff\x00", b"", b"3f2504e0-4f89"])
def test_a_file_that_holds_no_mark_tells_nothing(folder: Path, held: bytes) -> None:
    write(folder, 0)
    mark(folder)
    (folder / "journal.db-newest").write_bytes(held)
    assert not is_older(folder)
    mark(folder)
    assert not is_older(folder)
