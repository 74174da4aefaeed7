"""Fallback files: written when no journal can be, taken in once, and never at the cost of another line or file."""

from __future__ import annotations

import errno
import itertools
import json
import os
import resource
import stat
import tracemalloc
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.disks import fill, make_read_only, small_disk
from support.journals import bench, dead_pid, finish, python, rows

import journal
from journal.checkpoints.blobs import write_all
from journal.errors import JournalUnwritable
from journal.locations import fallback_folders
from journal.records import Run
from journal.sessions.identity import Session
from journal.writing import fallback, fallback_format, fallback_intake
from journal.writing.fallback import FallbackFile

RUN = Run("11111111-1111-1111-1111-111111111111", "demo", "run", "/runs/train", "2026-01-01T00:00:00.000000Z")


@pytest.fixture
def fallbacks(tmp_path: Path) -> Path:
    return tmp_path / "fallback"


def begin(fallbacks: Path, folder: Path, **options: Any) -> FallbackFile:
    return FallbackFile([fallbacks], folder, RUN, **options)


def write_and_die(fallbacks: Path, folder: Path, events: int = 3) -> None:
    """Have another process write events into a fallback file, and wait until it is gone."""
    child = os.fork()  # a new interpreter would take longer than the test
    if child == 0:
        try:
            file = begin(fallbacks, folder)
            for number in range(events):
                file.append("epoch_end", {"epoch": number}, str(number))
        except BaseException:
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def ingest(folder: Path, fallbacks: Path) -> int:
    with journal.open(folder) as opened:
        return opened.fallbacks.ingest([fallbacks])


def waiting(folder: Path, fallbacks: Path) -> int:
    with journal.open(folder) as opened:
        return opened.fallbacks.waiting(folder, [fallbacks])


def taken(folder: Path) -> list[Any]:
    return [json.loads(payload) for (payload,) in rows(folder, "SELECT payload FROM events ORDER BY id")]


def fails_at(number: int, function: Callable[..., Any], error: Exception) -> Callable[..., Any]:
    """Return the function, but its call of this number fails."""
    calls = itertools.count(1)

    def call(*arguments: Any) -> Any:
        if next(calls) == number:
            raise error
        return function(*arguments)

    return call


@contextmanager
def file_limit(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond `size` bytes: a longer write is cut short, then fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_a_dead_process_wrote_is_taken_in_once(folder: Path, fallbacks: Path) -> None:
    write_and_die(fallbacks, folder)
    assert ingest(folder, fallbacks) == 3
    assert taken(folder) == [{"epoch": 0}, {"epoch": 1}, {"epoch": 2}]
    assert rows(folder, "SELECT id, project, name, save_dir, created_at FROM runs") == [tuple(vars(RUN).values())]
    assert rows(folder, "SELECT count(*) FROM sessions") == [(1,)]
    assert list(fallbacks.iterdir()) == []
    assert ingest(folder, fallbacks) == 0


def test_a_file_that_could_not_be_deleted_is_not_taken_in_again(folder: Path, fallbacks: Path) -> None:
    write_and_die(fallbacks, folder)
    (path,) = fallbacks.iterdir()
    content = path.read_bytes()
    ingest(folder, fallbacks)
    path.write_bytes(content)  # as after a crash between the commit and the deletion
    assert ingest(folder, fallbacks) == 0
    assert len(taken(folder)) == 3


def test_the_file_of_a_live_process_is_kept_and_read_further(folder: Path, fallbacks: Path) -> None:
    file = begin(fallbacks, folder)
    file.append("epoch_end", {"epoch": 0})
    assert ingest(folder, fallbacks) == 1
    assert waiting(folder, fallbacks) == 0
    file.append("epoch_end", {"epoch": 1})
    assert waiting(folder, fallbacks) == 1
    assert ingest(folder, fallbacks) == 1
    file.close()
    assert [event["epoch"] for event in taken(folder)] == [0, 1]
    assert file.path is not None
    assert file.path.exists()
    assert rows(folder, "SELECT count(*) FROM sessions") == [(1,)]


def test_the_last_line_of_a_process_that_dies_meanwhile_is_read(
    folder: Path, fallbacks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = begin(fallbacks, folder)
    file.append("epoch_end", {"epoch": 0})

    def dies(*_: object) -> bool:
        file.append("epoch_end", {"epoch": 1})
        return True

    monkeypatch.setattr(fallback_intake, "is_dead", dies)
    assert ingest(folder, fallbacks) == 2
    file.close()


def test_a_process_of_another_container_is_not_known_to_be_dead(
    folder: Path, fallbacks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boot = fallback.boot_id().partition(" ")[0]
    monkeypatch.setattr(fallback, "boot_id", lambda: f"{boot} pid:[1]")
    monkeypatch.setattr(os, "getpid", dead_pid)
    file = begin(fallbacks, folder)
    file.append("epoch_end", {})
    file.close()
    assert ingest(folder, fallbacks) == 1
    assert file.path is not None
    assert file.path.exists()


def test_a_long_file_is_taken_in_piece_by_piece(folder: Path, fallbacks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that no other writer waits long, and a kill in between costs nothing."""
    monkeypatch.setattr(fallback_intake, "_LINES_AT_ONCE", 2)
    write_and_die(fallbacks, folder, events=5)
    with monkeypatch.context() as context:
        context.setattr(fallback_intake, "_event", fails_at(4, fallback_intake._event, MemoryError()))
        with pytest.raises(MemoryError):
            ingest(folder, fallbacks)
    assert [event["epoch"] for event in taken(folder)] == [0, 1]
    assert ingest(folder, fallbacks) == 3
    assert [event["epoch"] for event in taken(folder)] == [0, 1, 2, 3, 4]


def test_two_who_take_a_file_in_at_once_take_each_line_once(
    folder: Path, fallbacks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fallback_intake, "_LINES_AT_ONCE", 2)
    write_and_die(fallbacks, folder, events=5)
    (path,) = fallbacks.iterdir()
    header = fallback_format.read_header(path)
    assert header
    with journal.open(folder) as one, journal.open(folder) as other:
        first = fallback_intake.ingest_file(one._transaction, path, header)
        assert next(first) == 2
        assert [next(fallback_intake.ingest_file(other._transaction, path, header)), *first] == [2, 0, 1]
    assert [event["epoch"] for event in taken(folder)] == [0, 1, 2, 3, 4]


def test_a_file_that_cannot_be_read_to_its_end_is_kept(
    folder: Path, fallbacks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        write_and_die(fallbacks, folder, events=1)
    with monkeypatch.context() as context:
        context.setattr(fallback_intake, "_batch", fails_at(1, fallback_intake._batch, OSError("Input/output error")))
        assert ingest(folder, fallbacks) == 1
    assert len(list(fallbacks.iterdir())) == 1
    assert ingest(folder, fallbacks) == 1


def test_whose_a_large_file_is_costs_no_memory(folder: Path, fallbacks: Path) -> None:
    file = begin(fallbacks, folder)
    file.append("epoch_end", {})
    file.close()
    assert file.path is not None
    os.truncate(file.path, 64 << 20)
    tracemalloc.start()
    assert fallback_format.read_header(file.path) is not None
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


def test_a_torn_last_line_is_passed_over(folder: Path, fallbacks: Path) -> None:
    write_and_die(fallbacks, folder)
    (path,) = fallbacks.iterdir()
    path.write_bytes(path.read_bytes()[:-1])
    assert ingest(folder, fallbacks) == 2
    assert list(fallbacks.iterdir()) == []


def test_a_line_that_the_disk_tore_costs_no_other(folder: Path, fallbacks: Path) -> None:
    file = begin(fallbacks, folder)
    file.append("epoch_end", {"epoch": 0})
    assert file.path is not None
    with file_limit(file.path.stat().st_size + 20), pytest.raises(JournalUnwritable, match="cannot be written"):
        file.append("epoch_end", {"epoch": 1, "filling": "x" * 5_000})  # nor would another file take it
    file.append("epoch_end", {"epoch": 2})
    file.append("epoch_end", {"epoch": 3})
    file.close()
    assert ingest(folder, fallbacks) == 3
    assert [event["epoch"] for event in taken(folder)] == [0, 2, 3]
    assert ingest(folder, fallbacks) == 0


@pytest.mark.parametrize(
    "line",
    [
        b"[]",
        b"{}",
        b'"text"',
        b"\xff\xfe",
        b'{"kind":"a","key":"","payload":7,"created_at":"now"}',
        b'{"kind":"a","key":"","payload":{}}',
        b'{"kind":"a","key":"","payload":{},"created_at":"now"}',
        b"[" * 100_000,
    ],
    ids=range(8),
)
def test_a_line_that_is_no_event_costs_no_other(folder: Path, fallbacks: Path, line: bytes) -> None:
    write_and_die(fallbacks, folder, events=2)
    (path,) = fallbacks.iterdir()
    header, first, second, end = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([header, first, line, second, end]))
    assert ingest(folder, fallbacks) == 2


@pytest.mark.parametrize(
    "content", [b"", b"torn", b"{}\n{}\n", b"[1]\n", b"\xff\n", b"[" * 100_000 + b"\n"], ids=range(6)
)
def test_a_file_that_is_nobodys_is_left_alone(folder: Path, fallbacks: Path, content: bytes) -> None:
    fallbacks.mkdir()
    (fallbacks / "strange.jsonl").write_bytes(content)
    write_and_die(fallbacks, folder, events=1)
    assert ingest(folder, fallbacks) == 1
    assert (fallbacks / "strange.jsonl").read_bytes() == content


@pytest.mark.parametrize(
    "change",
    [
        {"journal": 5},
        {"pid": 10**30},
        {"session_id": "1"},
        {"routes": ["ultralytics"]},
        {"routes": [["ultralytics", 5]]},
        {"started_at": "today"},
        {"run": {**vars(RUN), "created_at": "today"}},
        {"run": {**vars(RUN), "name": "\udcff"}},
    ],
)
def test_a_header_that_means_nothing_is_nobodys(folder: Path, fallbacks: Path, change: dict[str, Any]) -> None:
    write_and_die(fallbacks, folder, events=1)
    (path,) = fallbacks.iterdir()
    header, event = path.read_text().splitlines()
    strange = json.dumps({**json.loads(header), **change}) + f"\n{event}\n"
    path.with_name("strange.jsonl").write_text(strange)
    assert ingest(folder, fallbacks) == 1
    assert [(found.name, found.read_text()) for found in fallbacks.iterdir()] == [("strange.jsonl", strange)]


def test_the_files_of_another_journal_are_left_alone(folder: Path, fallbacks: Path, tmp_path: Path) -> None:
    write_and_die(fallbacks, tmp_path / "other")
    assert ingest(folder, fallbacks) == 0
    assert len(list(fallbacks.iterdir())) == 1
    assert ingest(tmp_path / "other", fallbacks) == 3


def test_the_journal_is_the_same_by_whatever_path(folder: Path, fallbacks: Path, tmp_path: Path) -> None:
    journal.open(folder).close()
    (tmp_path / "link").symlink_to(folder)
    write_and_die(fallbacks, tmp_path / "link")
    assert ingest(tmp_path / "journal" / ".." / "journal", fallbacks) == 3


def test_the_sessions_of_a_run_are_taken_in_one_after_the_other(
    folder: Path, fallbacks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever random names their files have."""
    names = [uuid.UUID(int=number) for number in (4, 2, 5, 3, 6, 1, 7)]  # of a session, of its file, …; of the journal
    monkeypatch.setattr(uuid, "uuid4", iter(names).__next__)
    for session in range(3):
        file = begin(fallbacks, folder)
        file.append("epoch_end", {"epoch": session})
        file.close()
    assert ingest(folder, fallbacks) == 3
    assert [event["epoch"] for event in taken(folder)] == [0, 1, 2]


def test_events_go_to_the_session_that_the_journal_knows(folder: Path, fallbacks: Path) -> None:
    with journal.open(folder) as opened:
        writer = opened.writer()
        writer.start_run(project=RUN.project, name=RUN.name, save_dir=RUN.save_dir, run_id=RUN.id)
        session = Session(RUN.id)
        session_id = writer.start_session(RUN.id, session=session)
        writer.close()
    file = begin(fallbacks, folder, session_id=session_id, session=session)
    file.append("epoch_end", {})
    file.close()
    assert ingest(folder, fallbacks) == 1
    assert rows(folder, "SELECT session_id FROM events") == [(session_id,)]


def test_a_journal_that_was_replaced_takes_the_events_all_the_same(folder: Path, fallbacks: Path) -> None:
    with journal.open(folder) as opened:
        writer = opened.writer()
        stranger = writer.start_run(project=None, name="stranger", save_dir="/x").id
        session = writer.start_session(stranger)
        writer.close()
    for number in (session, session + 7):
        file = begin(fallbacks, folder, session_id=number)
        file.append("epoch_end", {})
        file.close()
    assert ingest(folder, fallbacks) == 2
    belongs = "SELECT DISTINCT e.run_id, s.run_id FROM events e JOIN sessions s ON s.id = e.session_id"
    assert rows(folder, belongs) == [(RUN.id, RUN.id)]


def test_the_chosen_destination_is_not_lost(folder: Path, fallbacks: Path) -> None:
    file = begin(fallbacks, folder, routes=[("ultralytics", "https://chosen.example")])
    file.append("epoch_end", {})
    file.close()
    ingest(folder, fallbacks)
    query = "SELECT t.run_id, d.base_url FROM targets t JOIN destinations d ON d.id = t.destination_id"
    assert rows(folder, query) == [(RUN.id, "https://chosen.example")]


def test_only_this_user_can_read_them(folder: Path, fallbacks: Path) -> None:
    file = begin(fallbacks, folder)
    file.append("epoch_end", {})
    file.close()
    assert file.path is not None
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(fallbacks.stat().st_mode) == 0o700


def test_a_folder_of_somebody_else_is_neither_written_nor_read(folder: Path, tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can give a folder away")
    strangers, own = tmp_path / "strangers", tmp_path / "own"
    write_and_die(strangers, folder)
    os.chown(strangers, 12345, 12345)
    file = FallbackFile([strangers, own], folder, RUN)
    file.append("epoch_end", {})
    file.close()
    assert len(list(own.iterdir())) == 1
    with journal.open(folder) as opened:
        assert opened.fallbacks.ingest([strangers, own]) == 1


def test_a_full_disk_makes_way_for_the_next_folder(folder: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "small") as small:
        (small / "fallback").mkdir(mode=0o700)
        fill(small)
        file = FallbackFile([small / "fallback", tmp_path / "large"], folder, RUN)
        file.append("epoch_end", {"epoch": 0})
        file.append("epoch_end", {"epoch": 1})
        file.close()
        assert list((small / "fallback").iterdir()) == []
    assert ingest(folder, tmp_path / "large") == 2


def test_a_file_that_cannot_be_deleted_stops_no_drain(folder: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "small") as small:
        write_and_die(small, folder)
        make_read_only(small)
        assert ingest(folder, small) == 3
        assert ingest(folder, small) == 0


def test_nowhere_to_write_names_every_place(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    places = [tmp_path / "file" / "a", tmp_path / "file" / "b"]
    with pytest.raises(JournalUnwritable) as caught:
        FallbackFile(places, folder, RUN).append("epoch_end", {})
    assert all(str(place) in str(caught.value) for place in places)


def test_a_user_without_a_name_has_a_place_too() -> None:
    if os.getuid() != 0:
        pytest.skip("only root can become a user without a name")
    code = """
import os, platformdirs
from journal.locations import fallback_folders
os.setuid(54321)
print(fallback_folders()[-1])
"""
    (printed,) = finish([python(code, env={"HOME": "/nowhere", "PATH": os.environ["PATH"]})])
    assert printed.strip().endswith("/offline-uploader-54321/fallback")


def test_a_chosen_folder_replaces_the_others(tmp_path: Path) -> None:
    assert fallback_folders({"UPLOADER_FALLBACK": str(tmp_path)}) == [tmp_path]


def test_a_file_that_may_grow_no_more_goes_on_in_another(folder: Path, fallbacks: Path) -> None:
    """As under `ulimit -f`: what is torn at the limit is written again, whole."""
    file = begin(fallbacks, folder)
    with file_limit(4_000):
        for number in range(30):
            file.append("epoch_end", {"epoch": number, "filling": "x" * 400}, str(number))
    assert len(file.paths) == len(list(fallbacks.iterdir())) > 3
    assert file.size() == sum(path.stat().st_size for path in fallbacks.iterdir())
    assert ingest(folder, fallbacks) == 30
    assert rows(folder, "SELECT key FROM events ORDER BY id") == [(str(number),) for number in range(30)]


def test_a_file_over_its_quota_goes_on_in_the_next_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    file = FallbackFile([first, second], folder, RUN)
    file.append("epoch_end", {}, "0")

    def over_quota(descriptor: int, data: bytes) -> None:
        if os.fstat(descriptor).st_ino in {path.stat().st_ino for path in first.iterdir()}:
            raise OSError(errno.EDQUOT, "Disk quota exceeded")
        write_all(descriptor, data)

    monkeypatch.setattr(fallback, "write_all", over_quota)
    file.append("epoch_end", {}, "1")
    file.append("epoch_end", {}, "2")
    assert [path.parent for path in file.paths] == [first, second]
    with bench(folder, run_id=RUN.id) as at:
        at.writer.ingest(file, at.session_id)
        file.remove()
    assert [*first.iterdir(), *second.iterdir()] == []
    assert rows(folder, "SELECT key FROM events ORDER BY id") == [("0",), ("1",), ("2",)]
