"""What platforms have taken is in the mirror, so that a restored journal neither announces nor sends it again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.journals import URL, Bench, rows

import journal
from journal.mirror.checking import check
from journal.mirror.mirroring import Mirroring
from journal.mirror.restoring import Restored, restore
from journal.mirror.stores import FolderStore
from journal.records import Outcome

DELIVERIES = "SELECT chunk_id, state, receipt FROM deliveries ORDER BY chunk_id"


def restored(folder: Path, store: FolderStore) -> Restored:
    with journal.open(folder) as opened:
        return restore(opened, store)


def results(store: FolderStore) -> list[Path]:
    return sorted(store.folder.glob("runs/*/results/*.json"))


def deliver(training: Bench, kind: str = "epoch_end") -> None:
    training.plan(training.message(kind))
    (claim,) = training.claim(run_ids=[training.run.id])
    training.record(Outcome(claim, "delivered", receipt={"received": True}))


def test_a_restored_journal_knows_the_model_and_what_has_arrived(
    training: Bench, store: FolderStore, tmp_path: Path
) -> None:
    training.register()
    deliver(training)
    training.event()
    Mirroring(training.journal, store).step(is_last=True)
    there = restored(tmp_path / "new", store)
    assert there.delivered == 2
    assert rows(tmp_path / "new", "SELECT state, ids FROM targets") == [("registered", '{"modelId":"m-1"}')]
    assert rows(tmp_path / "new", DELIVERIES) == rows(training.journal.path, DELIVERIES)
    (planned,) = rows(tmp_path / "new", "SELECT planned_through FROM targets")[0]
    assert rows(tmp_path / "new", "SELECT count(*) FROM events WHERE id > ?", planned) == [(1,)]
    assert restored(tmp_path / "new", store).delivered == 0


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


def test_results_of_several_machines_are_all_taken_in(training: Bench, store: FolderStore, tmp_path: Path) -> None:
    training.register()
    Mirroring(training.journal, store).step(is_last=True)
    deliver(training)
    Mirroring(training.journal, store).step(is_last=True)  # another process, which leaves the object of the first one
    assert len(results(store)) == 2
    restored(tmp_path / "new", store)
    assert rows(tmp_path / "new", DELIVERIES) == rows(training.journal.path, DELIVERIES)


@pytest.mark.parametrize("content", [b"", b"{}", b"not json"])
def test_results_that_are_damaged_are_named_and_cost_only_themselves(
    training: Bench, store: FolderStore, tmp_path: Path, content: bytes
) -> None:
    training.register()
    Mirroring(training.journal, store).step(is_last=True)
    (file,) = results(store)
    file.write_bytes(content)
    there = restored(tmp_path / "new", store)
    assert there.events == 1
    assert check(store).damaged == there.damaged
    assert [file.name in words for words in there.damaged] == [True]


def test_a_platform_is_asked_whether_it_knows_more_than_what_was_restored(
    training: Bench, store: FolderStore, tmp_path: Path
) -> None:
    from contextlib import closing

    training.event()
    Mirroring(training.journal, store).step()
    restored(tmp_path / "new", store)
    with journal.open(tmp_path / "new") as opened, closing(opened.outbox()) as outbox:
        assert outbox.copies.is_elsewhere()
