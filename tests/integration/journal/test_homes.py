"""A fallback file is its journal's, wherever that was moved, and no other's that happens to have its path."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.journals import bench, rows

import journal
from journal.doctor import examine
from journal.sessions.identity import Session
from journal.writing.fallback import FallbackFile

NODE = {"host": "node-a", "boot_id": "aaaaaaaa-0000-0000-0000-000000000000 pid:[1]"}
REBOOTED = {"boot_id": "aaaaaaaa-0000-0000-0000-000000000000 pid:[1]"}


@pytest.fixture
def fallbacks(tmp_path: Path) -> Path:
    return tmp_path / "fallback"


def spool(folder: Path, fallbacks: Path, **changes: Any) -> None:
    """Have a session of this journal write an event beside it, and change whose the file says that it is."""
    with bench(folder) as at:
        session = Session(at.run.id, journal=at.journal.uuid)
        at.writer.start_session(at.run.id, session=session)
        run = at.run
    file = FallbackFile([fallbacks], folder, run, session=session)
    file.append("epoch_end", {"epoch": 0}, "0")
    file.close()
    assert file.path is not None
    first, line = file.path.read_text().splitlines()
    file.path.write_text(json.dumps({**json.loads(first), **changes}) + f"\n{line}\n")


def taken(folder: Path, fallbacks: Path) -> int:
    with journal.open(folder) as opened:
        waiting = opened.fallbacks.waiting(folder, [fallbacks])
        count = opened.fallbacks.ingest([fallbacks])
        assert waiting == count
        return count


def made_anew(folder: Path) -> None:
    shutil.rmtree(folder)
    journal.open(folder).close()


def test_a_journal_that_was_moved_takes_its_own(folder: Path, fallbacks: Path, tmp_path: Path) -> None:
    spool(folder, fallbacks)
    folder.rename(tmp_path / "moved")
    assert examine(tmp_path / "moved", fallback_folders=[fallbacks]).findings[-1].code == "fallback-waiting"
    assert taken(tmp_path / "moved", fallbacks) == 1


def test_a_copy_leaves_the_journals_own_to_it(folder: Path, fallbacks: Path, tmp_path: Path) -> None:
    spool(folder, fallbacks)
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    assert taken(copy, fallbacks) == 0
    shutil.rmtree(folder)  # then the copy is what is left
    assert taken(copy, fallbacks) == 1


@pytest.mark.parametrize("where", [NODE, REBOOTED], ids=["other host", "same host name"])
def test_another_nodes_journal_at_the_same_path_takes_nothing(
    folder: Path, fallbacks: Path, where: dict[str, str], tmp_path: Path
) -> None:
    spool(folder, fallbacks, **where)
    folder.rename(tmp_path / "on node a")
    journal.open(folder).close()
    assert taken(folder, fallbacks) == 0
    assert rows(folder, "SELECT count(*) FROM runs") == [(0,)]
    [finding] = examine(folder, fallback_folders=[fallbacks]).findings
    assert finding.code == "fallback-elsewhere"
    host = json.loads(next(fallbacks.iterdir()).read_text().splitlines()[0])["host"]
    assert f"{host}:{folder}" in finding.detail
    assert finding.next_step == f"a drain on {host}:{folder} takes them in."
    with journal.open(folder) as opened:
        assert opened.fallbacks.elsewhere(folders=[fallbacks]) == {f"{host}:{folder}": 1}


@pytest.mark.parametrize(
    ("prepare", "changes", "expected"),
    [
        (None, {"journal_uuid": None}, 1),  # it could not be opened when the session began
        (None, {"journal_uuid": None, "session": "11111111-1111-1111-1111-111111111111", **REBOOTED}, 1),
        (None, {"journal_uuid": None, **NODE}, 1),  # a container of another name; the journal knows the session
        (None, {"journal_uuid": None, "session": "11111111-1111-1111-1111-111111111111", **NODE}, 0),
        (made_anew, {}, 1),
        (made_anew, NODE, 0),
        (made_anew, {"journal_uuid": None}, 1),
        (shutil.rmtree, {}, 1),
        (shutil.rmtree, NODE, 0),
    ],
)
def test_a_path_tells_whose_events_they_are_where_that_is_safe(
    folder: Path,
    fallbacks: Path,
    prepare: Callable[[Path], None] | None,
    changes: dict[str, str | None],
    expected: int,
) -> None:
    spool(folder, fallbacks, **changes)
    if prepare:
        prepare(folder)
    if prepare is shutil.rmtree:
        found = examine(folder, fallback_folders=[fallbacks]).findings
        assert [one.code for one in found][-1] == ("fallback-waiting" if expected else "fallback-elsewhere")
    else:
        assert taken(folder, fallbacks) == expected


@pytest.mark.parametrize(("where", "expected"), [({}, 1), (NODE, 1), (REBOOTED, 1)])
def test_files_of_earlier_versions_are_taken_in(
    folder: Path, fallbacks: Path, where: dict[str, str], expected: int
) -> None:
    """They name a path, a session by its number, and no numbers of events."""
    spool(folder, fallbacks, **where)
    [path] = fallbacks.iterdir()
    first, line = (json.loads(text) for text in path.read_text().splitlines())
    old = {name: first[name] for name in ("journal", "run", "routes", "pid", "host", "boot_id", "started_at")}
    del line["seq"]
    path.write_text(f"{json.dumps({**old, 'session_id': 2})}\n{json.dumps(line)}\n")
    assert taken(folder, fallbacks) == expected
    assert taken(folder, fallbacks) == 0
    assert rows(folder, "SELECT session_id, key FROM events WHERE seq > 0") == [(2, "0")]


def test_a_session_that_a_repaired_journal_has_is_its_own(folder: Path, fallbacks: Path, tmp_path: Path) -> None:
    """A journal of another name in the place of the one that the file names, which has taken over what that had."""
    spool(folder, fallbacks, **REBOOTED)
    with closing(sqlite3.connect(folder / "journal.db")) as connection, connection:
        connection.execute("UPDATE facts SET value = '22222222-2222-2222-2222-222222222222'")
    assert taken(folder, fallbacks) == 1
