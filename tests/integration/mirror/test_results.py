"""What platforms have taken is in the mirror, so that a restored journal neither announces nor sends it again."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.journals import URL, Bench, Engine, opened_in, rows

import journal
from journal.mirror.checking import check
from journal.mirror.mirroring import Mirroring
from journal.mirror.restoring import Restored, restore
from journal.mirror.stores import FolderStore
from journal.outbox import run_results
from journal.outbox.run_results import Results
from journal.outbox.superseded_results import supersede
from journal.records import Outcome

ON_BOTH_ENGINES = True
DELIVERIES = "SELECT chunk_id, state, receipt FROM deliveries ORDER BY chunk_id"


def restored(folder: Path, store: FolderStore, engine: Engine = "sqlite") -> Restored:
    with opened_in(folder, engine) as opened:
        return restore(opened, store)


def results(store: FolderStore) -> list[Path]:
    return sorted(store.folder.glob("runs/*/results/*.json"))


def deliver(training: Bench, kind: str = "epoch_end") -> None:
    training.plan(training.message(kind))
    (claim,) = training.claim(run_ids=[training.run.id])
    training.record(Outcome(claim, "delivered", receipt={"received": True}))


def test_a_restored_journal_knows_the_model_and_what_has_arrived(
    training: Bench, store: FolderStore, tmp_path: Path, engine: Engine
) -> None:
    training.register()
    deliver(training)
    training.event()
    Mirroring(training.journal, store).step(is_last=True)
    there = restored(tmp_path / "new", store, engine)
    assert there.delivered == 2
    assert rows(tmp_path / "new", "SELECT state, ids FROM targets") == [("registered", '{"modelId":"m-1"}')]
    assert rows(tmp_path / "new", DELIVERIES) == rows(training.journal.path, DELIVERIES)
    (planned,) = rows(tmp_path / "new", "SELECT planned_through FROM targets")[0]
    assert rows(tmp_path / "new", "SELECT count(*) FROM events WHERE id > ?", planned) == [(1,)]
    assert restored(tmp_path / "new", store, engine).delivered == 0


def test_ids_are_mirrored_at_once_and_receipts_now_and_then(training: Bench, store: FolderStore) -> None:
    now = 0.0
    mirroring = Mirroring(training.journal, store, clock=lambda: now)
    training.event()
    mirroring.step()
    assert results(store) == []
    training.register()
    mirroring.step()
    (first,) = results(store)
    assert json.loads(first.read_text())["targets"][0]["base_url"] == URL
    deliver(training)
    mirroring.step()
    assert results(store) == [first]
    now = 31.0
    mirroring.step()
    (second,) = results(store)
    assert second != first
    mirroring.step(is_last=True)
    assert results(store) == [second]


def test_results_of_several_machines_are_all_taken_in(
    training: Bench, store: FolderStore, tmp_path: Path, engine: Engine
) -> None:
    training.register()
    Mirroring(training.journal, store).step(is_last=True)
    shutil.copytree(training.journal.path, tmp_path / "copy")
    deliver(training)
    Mirroring(training.journal, store).step(is_last=True)
    with journal.open(tmp_path / "copy") as copy:
        Mirroring(copy, store).step(is_last=True)  # leaves what it does not know
    assert len(results(store)) == 2
    restored(tmp_path / "new", store, engine)
    assert rows(tmp_path / "new", DELIVERIES) == rows(training.journal.path, DELIVERIES)


def test_older_results_of_another_process_go_when_newer_ones_say_all_of_it(
    training: Bench, store: FolderStore, tmp_path: Path, engine: Engine
) -> None:
    training.register()
    for _ in range(3):
        deliver(training)
        Mirroring(training.journal, store).step(is_last=True)
        assert len(results(store)) == 1
    restored(tmp_path / "new", store, engine)
    assert rows(tmp_path / "new", DELIVERIES) == rows(training.journal.path, DELIVERIES)


def test_on_a_drive_that_sends_late_they_go_a_while_later(training: Bench, store: FolderStore) -> None:
    store.confirms = False
    training.register()
    for _ in range(2):
        deliver(training)
        Mirroring(training.journal, store).step(is_last=True)
    assert len(results(store)) == 2
    for path in results(store):
        os.utime(path, (0, 0))  # what is there has been sent by now
    Mirroring(training.journal, store).step(is_last=True)
    assert len(results(store)) == 1


def test_results_that_stay_damaged_are_written_again_from_what_the_journal_knows(
    training: Bench, store: FolderStore, tmp_path: Path, engine: Engine
) -> None:
    """They may be whole a moment later, so not at once; else a drain of the mirror would name them for ever."""
    training.register()
    Mirroring(training.journal, store).step(is_last=True)
    (torn,) = results(store)
    torn.write_bytes(torn.read_bytes()[:-4])
    deliver(training)
    Mirroring(training.journal, store).step(is_last=True)
    assert torn in results(store)
    os.utime(torn, (0, 0))
    Mirroring(training.journal, store).step(is_last=True)
    assert torn not in results(store)
    there = restored(tmp_path / "new", store, engine)
    assert (there.damaged, check(store).damaged) == ([], [])
    assert rows(tmp_path / "new", DELIVERIES) == rows(training.journal.path, DELIVERIES)


@pytest.mark.parametrize(
    "change",
    [
        lambda own: replace(own, targets=()),
        lambda own: replace(own, sessions=()),
        lambda own: _target(own, ids={}),
        lambda own: _target(own, state="blocked"),
        lambda own: _target(own, deliveries=own.targets[0].deliveries[1:]),
        lambda own: _target(own, deliveries=tuple(replace(one, state="pending") for one in own.targets[0].deliveries)),
        lambda own: _target(own, planned={}),
        lambda own: _target(own, stage=-1),
        lambda own: _target(own, last_upload_at=""),
        lambda own: replace(own, sessions=tuple(replace(one, heartbeat_at="") for one in own.sessions)),
    ],
)
def test_what_lacks_anything_of_other_results_does_not_supersede_them(
    training: Bench, change: Callable[[Results], Results]
) -> None:
    training.register()
    deliver(training)
    with training.journal.begin(read_only=True) as connection:
        whole = run_results.read(connection, training.run.id)
    assert supersede(whole, whole)
    assert supersede(whole, change(whole))
    assert not supersede(change(whole), whole)


def _target(own: Results, **changes: Any) -> Results:
    return replace(own, targets=(replace(own.targets[0], **changes),))


@pytest.mark.parametrize("content", [b"", b"{}", b"not json"])
def test_results_that_are_damaged_are_named_and_cost_only_themselves(
    training: Bench, store: FolderStore, tmp_path: Path, engine: Engine, content: bytes
) -> None:
    training.register()
    Mirroring(training.journal, store).step(is_last=True)
    (file,) = results(store)
    file.write_bytes(content)
    there = restored(tmp_path / "new", store, engine)
    assert there.events == 1
    assert check(store).damaged == there.damaged
    assert [file.name in words for words in there.damaged] == [True]


def test_a_platform_is_asked_whether_it_knows_more_than_what_was_restored(
    training: Bench, store: FolderStore, tmp_path: Path, engine: Engine
) -> None:
    from contextlib import closing

    training.event()
    Mirroring(training.journal, store).step()
    restored(tmp_path / "new", store, engine)
    with opened_in(tmp_path / "new", engine) as opened, closing(opened.outbox()) as outbox:
        assert outbox.copies.is_elsewhere()
