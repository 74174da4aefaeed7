"""A journal at its limit: what goes, in which order, what never goes, and that it is recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.journals import Bench, bench, dead_pid, finish, python, rows

from journal.records import Outcome
from journal.retention.eviction import EVENTS_AT_ONCE
from journal.retention.limit import Space

MB = 1_000_000
DAY = "2020-01-01T00:00:00.000000Z"


@contextmanager
def space(at: Bench, limit: int) -> Iterator[Space]:
    with closing(at.journal.writer()) as writer:
        yield writer.space(limit)


def shrink(at: Bench, by: int) -> bool:
    """Set the limit so many bytes below what there is, and give things up; return whether the journal is within it."""
    with space(at, at.writer.size().total - by) as chosen:
        return chosen.for_events()


def content(letter: str, size: int = MB) -> bytes:
    return letter.encode() * size


def present(at: Bench) -> list[str]:
    """Return the beginnings of the checkpoints whose bytes are there, by name."""
    stored = {sha for (sha,) in rows(at.journal.path, "SELECT sha256 FROM blobs WHERE state = 'present'")}
    assert stored == set(at.journal.blobs.names())
    return sorted(at.journal.blobs.path(sha).read_bytes()[:1].decode() for sha in stored)


def told(at: Bench, run_id: str | None = None) -> list[tuple[str, int, int]]:
    """Return what was given up of a run: what, count, bytes."""
    found = rows(
        at.journal.path,
        "SELECT payload FROM events WHERE kind = 'given_up' AND run_id = ? ORDER BY id",
        run_id or at.run.id,
    )
    items = [item for (payload,) in found for item in json.loads(payload)["items"]]
    return [(item["what"], item["count"], item["bytes"]) for item in items]


def kinds(at: Bench) -> dict[str, int]:
    return dict(rows(at.journal.path, "SELECT kind, count(*) FROM events GROUP BY kind"))


def print_much(at: Bench, chunks: int = 200) -> None:
    for number in range(chunks):
        at.event("console_output", {"chunkId": number, "content": "x" * 3_000, "lineCount": 1}, str(number))


def deliver_upload(at: Bench) -> None:
    (claim,) = at.claim("upload", upload_spacing_seconds=0.0)
    at.record(Outcome(claim, "delivered"))


def test_below_its_limit_nothing_goes(at: Bench) -> None:
    at.checkpoint(content("l"), "last")
    print_much(at)
    with space(at, at.writer.size().total) as exact:
        assert exact.for_events()
    assert (present(at), told(at)) == (["l"], [])


def test_the_size_is_that_of_pages_in_use_and_checkpoints(at: Bench) -> None:
    before = at.writer.size()
    at.checkpoint(content("l"), "last")
    print_much(at)
    after = at.writer.size()
    assert after.blobs - before.blobs == MB
    assert 600_000 < after.database - before.database < 1_200_000
    assert after == at.journal.size()
    with at.journal._transaction() as connection:
        connection.exec_driver_sql("DELETE FROM events WHERE kind = 'console_output'")
    assert at.writer.size().database < before.database + 100_000  # though the file is as long as it was


def test_what_has_arrived_goes_first_and_is_no_loss(at: Bench) -> None:
    at.register()
    at.plan(at.upload(at.checkpoint(content("b"), "best"), "best"))
    deliver_upload(at)
    at.checkpoint(content("l"), "last")
    assert shrink(at, by=MB // 2)
    assert (present(at), told(at)) == (["l"], [])


def test_what_has_arrived_at_one_of_two_destinations_is_no_arrived_one(at: Bench) -> None:
    at.register()
    at.plan(at.upload(at.checkpoint(content("b"), "best"), "best"))
    deliver_upload(at)
    other = at.outbox.routes.add_destination("hub", "https://hub.example")
    at.outbox.routes.add(at.run.id, other.id)
    at.checkpoint(content("a"), "last")
    assert shrink(at, by=MB // 2)
    assert told(at) == [("checkpoints", 1, MB)]


def test_what_has_arrived_is_no_loss_where_another_destination_was_given_up(at: Bench) -> None:
    at.register()
    at.plan(at.upload(at.checkpoint(content("f"), "final"), "final"))
    deliver_upload(at)
    other = at.outbox.routes.add_destination("hub", "https://hub.example")
    at.outbox.routes.add(at.run.id, other.id)
    assert not shrink(at, by=MB // 2)
    at.journal.drop_destination(other.id)
    assert shrink(at, by=MB // 2)
    assert (present(at), told(at)) == ([], [])


def test_an_arrived_final_checkpoint_may_go_and_one_that_has_not_never_does(at: Bench) -> None:
    at.register()
    sha256 = at.checkpoint(content("f"), "final")
    assert not shrink(at, by=MB // 2)
    assert present(at) == ["f"]
    at.plan(at.upload(sha256, "final"))
    assert not shrink(at, by=MB // 2)
    deliver_upload(at)
    assert shrink(at, by=MB // 2)
    assert (present(at), told(at)) == ([], [])


def test_runs_that_have_arrived_whole_go_before_anything_that_has_not(folder: Path) -> None:
    with bench(folder, pid=dead_pid()) as arrived:
        arrived.register()
        print_much(arrived)
        (last,) = rows(folder, "SELECT max(id) FROM events")[0]
        arrived.outbox.plans.write(arrived.target(), [], through=last, stage=1)
        with bench(folder) as at:
            at.checkpoint(content("l"), "last")
            print_much(at, 5)
            assert shrink(at, by=300_000)
            assert present(at) == ["l"]
            assert kinds(at) == {"console_output": 5, "checkpoint": 1}
            assert rows(folder, "SELECT count(*) FROM runs") == [(2,)]


def test_a_run_whose_destination_was_given_up_is_no_arrived_one(folder: Path) -> None:
    with bench(folder, pid=dead_pid()) as gone, bench(folder) as at:
        gone.event("epoch_end", {"epoch": 0})
        at.journal.drop_destination(gone.destination.id, [gone.run.id])
        at.checkpoint(content("l"), "last")
        assert not shrink(at, by=at.writer.size().total - 1)
        assert (kinds(at)["epoch_end"], present(at)) == (1, [])


def test_bytes_that_nothing_refers_to_go_first(at: Bench) -> None:
    at.checkpoint(content("l"), "last")
    with at.journal._transaction() as connection:
        connection.exec_driver_sql("DELETE FROM events WHERE kind = 'checkpoint'")
    at.checkpoint(content("b"), "best")
    assert shrink(at, by=MB // 2)
    assert (present(at), told(at)) == (["b"], [])


def test_replaced_checkpoints_go_before_those_that_are_not(folder: Path) -> None:
    with bench(folder) as older, bench(folder) as at:
        older.checkpoint(content("o"), "last")  # the oldest run's, and its newest
        at.register()
        at.plan(at.upload(at.checkpoint(content("a"), "last")))  # its delivery waits, so that it stays
        at.checkpoint(content("b"), "last")
        assert present(at) == ["a", "b", "o"]
        assert shrink(at, by=MB // 2)
        assert present(at) == ["b", "o"]
        assert told(at) == [("checkpoints that newer ones had replaced", 1, MB)]
        assert at.states() == ["delivered", "superseded"]


def test_other_checkpoints_go_by_the_age_of_their_run(folder: Path) -> None:
    with bench(folder) as older, bench(folder) as at:
        at.checkpoint(content("a"), "last")  # saved first, by the younger run
        older.checkpoint(content("o"), "best")
        assert shrink(at, by=MB // 2)
        assert present(at) == ["a"]
        assert (told(at), told(at, older.run.id)) == ([], [("checkpoints", 1, MB)])


def test_a_checkpoint_that_is_being_uploaded_stays(at: Bench) -> None:
    at.register()
    at.plan(at.upload(at.checkpoint(content("b"), "best"), "best"))
    assert at.claim("upload", upload_spacing_seconds=0.0)
    assert not shrink(at, by=MB // 2)
    assert present(at) == ["b"]


def test_bytes_of_a_final_checkpoint_stay_under_every_other_role(at: Bench) -> None:
    at.checkpoint(content("s"), "best")
    at.checkpoint(content("s"), "final")
    assert not shrink(at, by=MB // 2)
    assert present(at) == ["s"]


def test_bytes_that_two_runs_have_are_a_loss_of_both(folder: Path) -> None:
    with bench(folder) as one, bench(folder) as two:
        one.checkpoint(content("s"), "last")
        two.checkpoint(content("s"), "best")
        assert shrink(two, by=MB // 2)
        assert told(one) == told(two) == [("checkpoints", 1, MB)]


def test_console_text_goes_last_and_the_oldest_first(at: Bench) -> None:
    at.event("epoch_end", {"epoch": 0})
    print_much(at)
    at.checkpoint(content("l"), "last")
    at.event("epoch_end", {"epoch": 1})
    assert shrink(at, by=MB + 100_000)
    left = [int(key) for (key,) in rows(at.journal.path, "SELECT key FROM events WHERE kind = 'console_output'")]
    assert left == list(range(200 - len(left), 200))
    assert 0 < len(left) < 190
    assert present(at) == []
    assert [what for what, _, _ in told(at)] == ["checkpoints", "console chunks"]
    assert told(at)[1][1] == 200 - len(left)
    assert kinds(at)["epoch_end"] == 2


def test_console_text_that_is_planned_stays(at: Bench) -> None:
    at.register()
    print_much(at, 10)
    (last,) = rows(at.journal.path, "SELECT max(id) FROM events")[0]
    at.outbox.plans.write(at.target(), [at.planned(last, "console_output")], through=last, stage=1)
    print_much(at, 10)
    assert not shrink(at, by=MB)
    assert kinds(at)["console_output"] == 10
    assert told(at)[0][1] == 10


def test_no_more_console_text_is_deleted_at_once_than_an_event_may_wait_for(at: Bench) -> None:
    for number in range(3):
        at.event("console_output", {"content": "x" * (EVENTS_AT_ONCE // 2)}, str(number))
    assert not shrink(at, by=at.writer.size().total - 1)
    assert [count for _, count, _ in told(at)] == [2, 1]


def test_metrics_and_milestones_never_go(at: Bench) -> None:
    for number in range(100):
        at.event("epoch_end", {"epoch": number, "text": "x" * 3_000}, str(number))
    for kind in ("training_started", "training_complete", "training_failed", "model_saved"):
        at.event(kind)
    before = kinds(at)
    assert not shrink(at, by=200_000)
    assert kinds(at) == before
    assert at.event("epoch_end")  # and more are taken


@pytest.mark.parametrize("role", ["last", "best"])
def test_a_new_checkpoint_takes_the_place_of_older_ones(folder: Path, role: str) -> None:
    with bench(folder) as older, bench(folder) as at:
        older.checkpoint(content("o"), "last")
        print_much(at, 20)
        with space(at, at.writer.size().total + MB // 2) as chosen:
            assert chosen.for_checkpoint(MB, at.run.id, role)
        assert present(at) == []
        assert told(at, older.run.id) == [("checkpoints", 1, MB)]
        assert kinds(at)["console_output"] == 20


def test_a_new_checkpoint_needs_no_place_that_the_one_it_replaces_leaves(at: Bench) -> None:
    at.checkpoint(content("l"), "last")
    at.checkpoint(content("b"), "best")
    with space(at, at.writer.size().total + 1_000) as chosen:
        assert chosen.for_checkpoint(MB, at.run.id, "last")
    assert (present(at), told(at)) == (["b", "l"], [])


def test_bytes_that_another_role_keeps_leave_no_place(at: Bench) -> None:
    for role in ("last", "best"):
        at.checkpoint(content("a"), role)
    limit = at.writer.size().total + MB // 2
    with space(at, limit) as chosen:
        assert not chosen.for_checkpoint(MB, at.run.id, "last")  # the only best is not given up for one
        assert chosen.for_checkpoint(MB, at.run.id, "best")
    at.checkpoint(content("n"), "best")
    assert (present(at), told(at)) == (["n"], [("checkpoints", 1, MB)])
    assert at.writer.size().total <= limit


def test_for_one_that_has_no_place_even_so_nothing_is_given_up(at: Bench) -> None:
    at.checkpoint(content("l"), "last")
    at.checkpoint(content("f"), "final")
    print_much(at)
    with space(at, at.writer.size().total) as chosen:
        assert not chosen.for_checkpoint(5 * MB, at.run.id, "best")
    assert (present(at), told(at)) == (["f", "l"], [])


def test_console_text_stays_also_when_another_process_takes_the_place(
    at: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    print_much(at)
    monkeypatch.setattr(Space, "_could_fit", lambda *_: True)  # as it looked just before
    with space(at, at.writer.size().total) as chosen:
        assert not chosen.for_checkpoint(MB // 2, at.run.id, "best")
    assert kinds(at) == {"console_output": 200}


def test_a_final_checkpoint_larger_than_the_limit_is_taken(at: Bench) -> None:
    at.checkpoint(content("l"), "last")
    print_much(at)
    with space(at, MB) as chosen:
        assert chosen.for_checkpoint(5 * MB, at.run.id, "final")
    assert [what for what, _, _ in told(at)] == ["checkpoints", "console chunks"]


def test_a_final_checkpoint_counts_with_its_whole_size_beside_an_earlier_one(at: Bench) -> None:
    at.checkpoint(content("f"), "final")
    at.checkpoint(content("l"), "last")
    with space(at, at.writer.size().total) as chosen:
        assert chosen.for_checkpoint(MB, at.run.id, "final")
    assert present(at) == ["f"]


def test_a_given_up_checkpoint_is_no_dead_letter(at: Bench) -> None:
    """It was planned after it was given up: the drain finds no bytes, and asks whether it has to arrive."""
    at.register()
    sha256 = at.checkpoint(content("b"), "best")
    assert shrink(at, by=MB // 2)
    at.plan(at.upload(sha256, "best"))
    (claim,) = at.claim("upload", upload_spacing_seconds=0.0)
    assert at.outbox.settlement.may_be_skipped(claim)


def test_a_signal_about_text_that_was_given_up_meanwhile_is_kept(at: Bench) -> None:
    """A drain had read the event before it was given up, and planned it after that."""
    at.register()
    message = at.message("console_output")
    assert not shrink(at, by=MB)
    at.plan(message)
    (claim,) = at.claim()
    at.record(Outcome(claim, "delivered", signals=(("cancelled", "by hand"),)))
    assert [signal.session_id for signal in at.writer.signals(at.run.id)] == [at.session_id]


def test_bytes_whose_remover_was_killed_are_swept(at: Bench) -> None:
    sha256 = at.checkpoint(content("l"), "last")
    with at.journal._transaction() as connection:  # what was committed; the bytes are still there
        connection.exec_driver_sql(f"UPDATE blobs SET state = 'removed' WHERE sha256 = '{sha256}'")
    assert at.journal.blobs.names() == [sha256]
    at.journal.salvage()
    assert at.journal.blobs.names() == []


def test_bytes_go_after_the_commit(at: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    remove = at.journal.blobs.remove

    def look(sha256: str) -> None:
        seen.append(rows(at.journal.path, "SELECT state FROM blobs WHERE sha256 = ?", sha256))
        remove(sha256)

    at.checkpoint(content("l"), "last")
    with closing(at.journal.writer()) as writer:
        monkeypatch.setattr(writer._blobs, "remove", look)
        writer.space(MB // 2).for_events()
    assert seen == [[("removed",)]]


def test_bytes_that_are_stored_again_meanwhile_stay(at: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the commit and the removal another process takes the same bytes in."""
    at.checkpoint(content("l"), "last")
    with closing(at.journal.writer()) as writer:
        clear = Space._clear

        def meanwhile(self: Space) -> None:
            at.checkpoint(content("l"), "final")
            clear(self)

        monkeypatch.setattr(Space, "_clear", meanwhile)
        writer.space(MB // 2).for_events()
    assert present(at) == ["l"]


def test_room_that_another_process_has_made_meanwhile_is_not_made_twice(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between looking and taking, another one gives up what both have found too much."""
    with bench(folder) as older, bench(folder) as at:
        older.checkpoint(content("o"), "last")
        at.checkpoint(content("a"), "last")
        limit = at.writer.size().total - MB // 2
        take = Space._take

        def second(self: Space, *step: Any) -> None:
            monkeypatch.setattr(Space, "_take", take)
            with space(at, limit) as first:
                assert first.for_events()
            take(self, *step)

        monkeypatch.setattr(Space, "_take", second)
        with space(older, limit) as chosen:
            assert chosen.for_events()
        assert (present(at), told(older, older.run.id), told(at)) == (["a"], [("checkpoints", 1, MB)], [])


def test_text_that_another_process_has_given_up_meanwhile_is_not_given_up_twice(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between looking and taking, another one gives up all there is, and the journal is too large even so."""
    with bench(folder) as at, bench(folder) as other:
        at.event("console_output", {"content": "c" * MB})
        take = Space._take

        def second(self: Space, *step: Any) -> None:
            monkeypatch.setattr(Space, "_take", take)
            with space(other, 1) as first:
                assert not first.for_events()
            take(self, *step)

        monkeypatch.setattr(Space, "_take", second)
        with space(at, 1) as chosen:
            assert not chosen.for_events()
        assert [(what, count) for what, count, _ in told(at)] == [("console chunks", 1)]


TRAIN = """
import sys
from pathlib import Path
from support.journals import bench
with bench(Path(sys.argv[1]) / "journal") as at:
    at.journal.path.parent.joinpath(sys.argv[2]).mkdir()
    for number in range(15):
        at.event("epoch_end", {"epoch": number}, str(number))
        source = at.journal.path.parent / sys.argv[2] / "last.pt"
        source.write_bytes(f"{sys.argv[2]} {number} ".encode() * 30_000)
        limit = at.journal.writer()
        space = limit.space(400_000)
        if space.for_checkpoint(source.stat().st_size, at.run.id, "last"):
            snapshot = at.journal.blobs.snapshot(source, wait=lambda _: None)
            at.writer.add_checkpoint(at.run.id, at.session_id, snapshot, "last", {"publish": True})
        space.for_events()
        limit.close()
    snapshot = at.journal.blobs.snapshot(source, wait=lambda _: None)
    at.writer.add_checkpoint(at.run.id, at.session_id, snapshot, "final", {"publish": True})
"""


def test_two_processes_keep_one_limit(tmp_path: Path) -> None:
    options = {"env": {"PYTHONPATH": "tests", "PATH": ""}}
    finish([python(TRAIN, tmp_path, name, **options) for name in ("one", "two")])
    folder = tmp_path / "journal"
    assert rows(folder, "SELECT count(*) FROM events WHERE kind = 'epoch_end'") == [(30,)]
    assert rows(folder, "SELECT count(*) FROM checkpoints WHERE role = 'final' AND bytes_are = 'present'") == [(2,)]
    assert rows(folder, "PRAGMA integrity_check") == [("ok",)]
    stored = {name for (name,) in rows(folder, "SELECT sha256 FROM blobs WHERE state = 'present'")}
    assert stored == {path.name for path in (folder / "blobs").iterdir()}


@pytest.mark.parametrize(("new", "there"), [("last", ["b"]), ("best", ["n"])])
def test_for_a_last_no_best_goes_and_for_a_best_a_last_does(at: Bench, new: str, there: list[str]) -> None:
    """Where there is room for one of them only."""
    at.checkpoint(content("b"), "best" if new == "last" else "last")
    with space(at, at.writer.size().total + MB // 2) as chosen:
        if chosen.for_checkpoint(MB, at.run.id, new):
            at.checkpoint(content("n"), new)
    assert present(at) == there


def test_of_a_run_the_last_goes_before_the_best(at: Bench) -> None:
    at.checkpoint(content("b"), "best")
    at.checkpoint(content("l"), "last")
    assert shrink(at, by=MB // 2)
    assert present(at) == ["b"]
