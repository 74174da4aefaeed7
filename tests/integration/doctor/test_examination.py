"""What the doctor finds, and that it changes nothing by looking."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest
from support.damage import blob, contents, overwrite, statement
from support.disks import make_read_only, small_disk
from support.journals import PLATFORM, URL, bench, dead_pid, finish, python

import journal
from journal.clock import utc_now
from journal.doctor import Examination, examine
from journal.outbox import verifications
from journal.outbox.verifications import Found
from journal.records import Outcome, Run
from journal.storage.database import APPLICATION_ID
from journal.writing.fallback import FallbackFile

RUN = Run("5f0c5a1e-0000-4000-8000-000000000001", None, "run", "/train", "2026-01-01T00:00:00.000000Z")


def codes(folder: Path, **options: object) -> set[str]:
    return {finding.code for finding in look(folder, **options).findings}


def look(folder: Path, **options: object) -> Examination:
    return examine(folder, **{"fallback_folders": [], **options})


def test_a_healthy_journal_is_healthy(folder: Path) -> None:
    before = contents(folder)
    examination = look(folder, deep=True)
    assert examination.findings == ()
    assert examination.healthy
    assert (examination.events, examination.blobs) == (464, 3)
    assert contents(folder) == before


def test_a_journal_in_use_can_be_looked_over(tmp_path: Path) -> None:
    with bench(tmp_path / "journal") as at:
        at.event()
        assert look(tmp_path / "journal").events == 1
        at.event()


TROUBLES: dict[str, Callable[[Path], object]] = {
    "no-journal": lambda folder: (folder / "journal.db").unlink(),
    "newer-journal": lambda folder: statement(folder, "PRAGMA user_version=99"),
    "not-a-journal": lambda folder: statement(folder, f"PRAGMA application_id={APPLICATION_ID + 1}"),
    "database-damaged": lambda folder: overwrite(folder / "journal.db", 40 * 4096, b"\xa5" * 4096),
    "reference-broken": lambda folder: statement(folder, "UPDATE events SET session_id = 99 WHERE id = 5"),
    "text-damaged": lambda folder: statement(folder, "UPDATE events SET payload = '{\"chu' WHERE id = 50"),
    "delivery-damaged": lambda folder: statement(
        folder, "UPDATE deliveries SET body = replace(body, 'x', 'y') WHERE id = 40"
    ),
    "blob-damaged": lambda folder: overwrite(blob(folder, "final"), 100, b"flip"),
    "open-to-others": lambda folder: (folder / "journal.db").chmod(0o644),
}


@pytest.mark.parametrize("code", TROUBLES)
def test_trouble_is_named_with_its_next_step(folder: Path, code: str) -> None:
    TROUBLES[code](folder)
    before = contents(folder)
    examination = look(folder)
    found = [finding for finding in examination.findings if finding.code == code]
    assert [finding.weight for finding in found] == ["trouble"]
    assert found[0].next_step
    assert not examination.healthy
    assert contents(folder) == before


def test_damage_that_no_query_meets_is_found(folder: Path) -> None:
    sql = "replace(sql, '''checkpoint''', '''epoch_end''')"  # an index that has not the rows that it should
    with closing(sqlite3.connect(folder / "journal.db")) as connection, connection:
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute(f"UPDATE sqlite_master SET sql = {sql} WHERE name = 'ix_events_checkpoints'")
    assert codes(folder) == {"database-damaged"}


@pytest.mark.parametrize("harm", [Path.unlink, lambda path: path.write_bytes(b"half")])
def test_a_checkpoint_that_a_run_needs_must_be_there_and_whole(folder: Path, harm: Callable[[Path], object]) -> None:
    harm(blob(folder, "best"))
    assert codes(folder) == {"blob-damaged"}


def test_a_checkpoint_whose_bytes_are_gone_is_named_as_a_person_knows_it(tmp_path: Path) -> None:
    with bench(tmp_path / "journal") as at:
        sha256 = at.checkpoint(b"weights", role="best", epoch=7)
        blob(tmp_path / "journal", "best").unlink()
    [finding] = [one for one in look(tmp_path / "journal").findings if one.code == "blob-damaged"]
    assert all(words in finding.detail for words in ("best", " of run, epoch 8", sha256, "gone", "is missing"))
    commands = [f"uploader {name} --journal" for name in ("drain", "retry ID", "drop ID")]
    assert all(words in finding.next_step for words in (*commands, "/weights", "The rest of the run is delivered"))


@pytest.mark.parametrize(
    "value", ["/dev/null", "/proc/x", "FILE", "FILE/sub", "x" * 300, "new/" + "x" * 300, "/new" * 1100]
)
def test_a_fallback_folder_that_can_keep_nothing_is_trouble(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    (tmp_path / "file").touch()
    value = value.replace("FILE", str(tmp_path / "file"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("UPLOADER_FALLBACK", value)
    [finding] = [one for one in examine(folder).findings if one.code == "fallback-unfit"]
    assert (finding.weight, value in finding.detail) == ("trouble", True)
    monkeypatch.setenv("UPLOADER_FALLBACK", str(tmp_path / "made" / "when needed"))
    assert "fallback-unfit" not in {one.code for one in examine(folder).findings}
    assert not (tmp_path / "made").exists()


def test_a_checkpoint_that_was_replaced_may_be_gone(tmp_path: Path) -> None:
    with bench(tmp_path / "journal") as at:
        old = at.checkpoint(b"old")
        at.checkpoint(b"new")
        statement(tmp_path / "journal", f"UPDATE blobs SET state = 'present' WHERE sha256 = '{old}'")
    assert look(tmp_path / "journal").findings == ()  # as a process leaves it that is killed while it gives bytes up


def test_a_folder_that_is_no_journal_is_said(tmp_path: Path) -> None:
    assert codes(tmp_path / "nothing") == {"no-journal"}
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("database", [None, "CREATE TABLE visits (at)"])
def test_the_permissions_of_a_folder_that_is_no_journal_are_its_owners_affair(
    tmp_path: Path, database: str | None
) -> None:
    website = tmp_path / "www"
    (website / "blobs").mkdir(parents=True)
    if database:
        statement(website, database)
    website.chmod(0o755)
    assert codes(website) == {"not-a-journal" if database else "no-journal"}


def test_a_journal_whose_making_was_cut_short_is_healthy(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    (tmp_path / "blobs").mkdir(mode=0o700)
    (tmp_path / "journal.db").touch(mode=0o600)
    examination = look(tmp_path)
    assert ({finding.code for finding in examination.findings}, examination.healthy) == ({"journal-empty"}, True)


def test_a_database_that_was_emptied_beside_its_log_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    with bench(folder) as at:
        at.event()
        log = (folder / "journal.db-wal").read_bytes()
    (folder / "journal.db").write_bytes(b"")
    (folder / "journal.db-wal").touch(mode=0o600)
    (folder / "journal.db-wal").write_bytes(log)
    assert codes(folder) == {"log-without-database"}
    with pytest.raises(journal.JournalError, match="log"):
        journal.open(folder)
    assert (folder / "journal.db-wal").read_bytes() == log


def test_a_transaction_that_was_cut_short_is_no_trouble(tmp_path: Path) -> None:
    """The rollback journal is for the next writer; a reader looks at a copy."""
    folder = tmp_path / "journal"
    with bench(folder) as at:
        at.event()
    statement(folder, "PRAGMA journal_mode=DELETE")
    child = os.fork()
    if child == 0:  # ends in the middle of a transaction that has reached the file
        connection = sqlite3.connect(folder / "journal.db", isolation_level=None)
        connection.execute("PRAGMA cache_size=1")
        connection.execute("BEGIN")
        connection.execute("UPDATE events SET payload = printf('%.*c', 900000, 'x')")
        os._exit(0)
    os.waitpid(child, 0)
    assert (folder / "journal.db-journal").stat().st_size
    before = contents(folder)
    examination = look(folder)
    assert {finding.code for finding in examination.findings} == {"no-write-ahead-log"}
    assert (examination.healthy, examination.events) == (True, 1)
    assert contents(folder) == before


def test_files_that_wait_or_are_left_are_noticed(folder: Path, tmp_path: Path) -> None:
    beside = tmp_path / "fallback"
    waiting = FallbackFile([beside], folder, RUN)
    waiting.append("epoch_end", {"epoch": 1})
    waiting.close()
    (folder / "blobs" / ("0" * 64)).write_bytes(b"unknown")
    (folder / "blobs" / ("0" * 64)).chmod(0o600)
    leftover = folder / "blobs" / f".tmp-{dead_pid()}-1"
    leftover.touch(mode=0o600)
    os.utime(leftover, (time.time() - 90_000,) * 2)
    examination = look(folder, fallback_folders=[beside])
    assert examination.healthy
    assert {finding.code for finding in examination.findings} == {"fallback-waiting", "blobs-unknown", "copies-left"}
    details = " ".join(finding.detail for finding in examination.findings)
    assert [one for one in ("1 fallback file:", "1 file:", "1 unfinished copy") if one not in details] == []


def test_files_that_wait_for_another_journal_are_named_with_the_command_that_takes_them_in(
    folder: Path, tmp_path: Path
) -> None:
    waiting = FallbackFile([tmp_path / "fallback"], tmp_path / "other", RUN)
    waiting.append("epoch_end", {"epoch": 1})
    waiting.close()
    (finding,) = look(folder, fallback_folders=[tmp_path / "fallback"]).findings
    assert (finding.code, finding.weight) == ("fallback-elsewhere", "notice")
    assert f"--journal {tmp_path / 'other'}`" in finding.next_step


def test_files_that_were_taken_in_from_another_journal_are_no_longer_named_until_they_grow(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`unpack` leaves them where they are, as the other journal may only be away."""
    beside = tmp_path / "fallback"
    monkeypatch.setenv("UPLOADER_FALLBACK", str(beside))
    with closing(FallbackFile([beside], tmp_path / "other", RUN)) as waiting:
        waiting.append("epoch_end", {"epoch": 1})
        with journal.open(folder) as opened:
            assert opened.fallbacks.copy(tmp_path / "other")[1] == 1
        assert look(folder, fallback_folders=[beside]).findings == ()
        waiting.append("epoch_end", {"epoch": 2})
    assert [finding.code for finding in look(folder, fallback_folders=[beside]).findings] == ["fallback-elsewhere"]


def test_a_journal_above_its_limit_is_noticed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1_000_000 < look(folder).bytes < 2_000_000
    monkeypatch.setenv("UPLOADER_MAX_SIZE", "50kB")
    assert codes(folder) == {"over-limit"}
    monkeypatch.setenv("UPLOADER_MAX_SIZE", "50")
    assert codes(folder) == {"limit-unreadable"}


def test_a_fallback_file_that_belongs_to_nobody_is_trouble(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "torn.jsonl").write_text('{"journal": "/some')
    assert codes(folder, fallback_folders=[tmp_path]) == {"fallback-damaged"}


@pytest.mark.skipif(sys.platform != "linux", reason="reading such a file fails with EIO on Linux")
def test_a_fallback_file_that_cannot_be_read_is_trouble(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "shut.jsonl").symlink_to("/proc/self/mem")
    assert codes(folder, fallback_folders=[tmp_path]) == {"fallback-shut"}


def test_a_nearly_full_disk_is_trouble(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "4m") as disk:
        with bench(disk / "journal") as at:
            at.event()
        assert codes(disk / "journal") == {"disk-nearly-full"}


def test_a_journal_that_cannot_be_written_is_trouble(everything: Path, tmp_path: Path) -> None:
    """On a read-only disk, which refuses root too."""
    with small_disk(tmp_path / "disk", "4m") as disk:
        shutil.copytree(everything, disk / "journal")
        make_read_only(disk)
        examination = look(disk / "journal")
    (found,) = (finding for finding in examination.findings if finding.code == "journal-unwritable")
    assert (found.weight, examination.events) == ("trouble", 464)
    assert str(disk / "journal" / "blobs") in found.detail


def test_a_journal_that_cannot_be_read_is_said_to_be(folder: Path) -> None:
    code = """
import os, sys
from pathlib import Path
import psutil
import journal.doctor, journal.doctor.source, journal.locations, journal.read_only
if os.getuid() == 0:
    os.setuid(54321)  # root may read anything
folder = Path(sys.argv[1])
try:
    print(journal.locations.is_there(folder), journal.read_only.read_journal(folder))
except journal.JournalError as error:
    print(error)
print([finding.code for finding in journal.doctor.examine(folder, fallback_folders=[]).findings])
"""
    folder.chmod(0)
    (printed,) = finish([python(code, folder)])
    folder.chmod(0o700)
    assert printed.splitlines() == [
        f"{folder / 'journal.db'} cannot be read (Permission denied); check its owner and permissions",
        "['journal-unreadable']",
    ]


def test_one_file_that_cannot_be_written_is_enough(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "journal.db-wal").touch(mode=0o600)  # of a drain that ran as root
    allowed = os.access
    monkeypatch.setattr("os.access", lambda path, mode: "-wal" not in str(path) and allowed(path, mode))
    assert codes(folder) == {"journal-unwritable"}


@pytest.mark.parametrize("seed", range(40))
def test_no_damage_is_too_much_for_the_doctor(folder: Path, seed: int) -> None:
    """Single bits and whole pages; whatever it does to the file, looking never fails and never writes."""
    random, database = Random(seed), folder / "journal.db"
    content = bytearray(database.read_bytes())
    page = random.randrange(len(content) // 4096) * 4096
    if seed % 2:
        content[page + random.randrange(4096)] ^= 1 << random.randrange(8)
    else:
        content[page : page + 4096] = random.choice([bytes(4096), b"\xff" * 4096, random.randbytes(4096)])
    database.write_bytes(content)
    before = contents(folder)
    look(folder)
    assert contents(folder) == before


def tried(folder: Path, **outcome: Any) -> None:
    """Make a journal with a registration that came to this; that was not tried, when it came to nothing."""
    with bench(folder) as at:
        at.plan(at.message("training_started"))
        if outcome:
            (claim,) = at.claim()
            at.record(Outcome(claim, error="cannot be reached", **outcome))


def test_what_was_read_back_and_is_not_there_is_trouble_as_long_as_that_holds(tmp_path: Path) -> None:
    with bench(tmp_path / "journal") as made:
        made.event()
        place = made.destination.id
        with made.journal.begin() as connection:
            known = verifications.seen(connection, made.run.id, place, utc_now())
            verifications.note(connection, made.run.id, place, Found(known, {"proven": 3, "missing": 2}, ()))
        (finding,) = look(made.journal.path).findings
        assert (finding.code, finding.weight) == ("not-there", "trouble")
        assert f"run ({made.run.id}) at {URL}: 2 missing, 0 different" in finding.detail
        assert f"verify {made.run.id} --fix" in finding.next_step
        made.event()
        assert look(made.journal.path).findings == ()


def test_an_address_where_nobody_was_ever_reached_is_named_with_the_way_out(tmp_path: Path) -> None:
    tried(tmp_path / "journal", result="release")
    (finding,) = look(tmp_path / "journal").findings
    assert (finding.code, finding.weight) == ("never-reached", "notice")
    assert f"1 run waits for {URL}" in finding.detail
    assert f"route --from {URL} --platform {PLATFORM} --to URL" in finding.next_step


@pytest.mark.parametrize("outcome", [{}, {"result": "retry"}, {"result": "delivered", "ids": {}}])
def test_one_that_was_not_tried_or_may_have_heard_of_it_is_not(tmp_path: Path, outcome: dict[str, Any]) -> None:
    tried(tmp_path / "journal", **outcome)
    assert codes(tmp_path / "journal") == set()


def test_nor_is_one_that_knows_a_run_whose_deliveries_were_pruned(tmp_path: Path) -> None:
    tried(tmp_path / "journal", result="release")
    statement(tmp_path / "journal", "UPDATE targets SET state = 'registered'")
    assert codes(tmp_path / "journal") == set()
