"""Runs are deleted from a mirror, and nothing else of it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from support.journals import Bench, bench
from support.mirrors import export

import journal
from journal.errors import MirrorUnavailable
from journal.mirror.checking import check
from journal.mirror.handing_over import hand_over_all, hand_over_results, mirrors_of
from journal.mirror.mirroring import Mirroring
from journal.mirror.restoring import restore
from journal.mirror.stores import FolderStore
from uploader.__main__ import main

LARGE = bytes(range(256)) * 8192


@pytest.fixture
def kept(tmp_path: Path, store: FolderStore) -> Iterator[Bench]:
    """Another machine's run in the same mirror, with a checkpoint of its own and one that both have."""
    with bench(tmp_path / "other" / "journal") as made:
        made.event()
        made.checkpoint(b"of both", "best")
        made.checkpoint(b"its own")
        Mirroring(made.journal, store).step(is_last=True)
        yield made


@pytest.fixture
def mirroring(training: Bench, kept: Bench, store: FolderStore) -> Mirroring:
    """Of a run that is to be forgotten."""
    training.register()
    training.event()
    training.checkpoint(b"of both", "best")
    training.checkpoint(LARGE)
    made = Mirroring(training.journal, store)
    made.step(is_last=True)
    made.state(training.run.id).write(training.journal.path)
    return made


def run(*arguments: object, given: str | None = None) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)], given)


def forget(training: Bench, store: FolderStore) -> Result:
    return run("mirror", store.folder, "--forget", training.run.id[:8], "--yes")


def names(store: FolderStore, prefix: str) -> list[str]:
    return [found.name for found in store.list(prefix)]


def test_a_run_goes_with_what_it_alone_has_and_everything_else_stays(
    training: Bench, kept: Bench, mirroring: Mirroring, store: FolderStore, tmp_path: Path
) -> None:
    mark = (store.folder / "uploader-mirror.json").read_bytes()
    done = forget(training, store)
    assert (done.exit_code, "Deleted 1 run and 1 checkpoint that it alone has" in done.output) == (0, True)
    assert names(store, f"runs/{training.run.id}/") == names(store, "parts/") == []
    assert (store.folder / "uploader-mirror.json").read_bytes() == mark
    checked = check(store)
    assert (checked.damaged, checked.missing, checked.runs, checked.checkpoints) == ([], [], 1, 2)
    with journal.open(tmp_path / "new") as opened:
        assert restore(opened, store).runs == [kept.run.id]
    assert export(tmp_path / "new") == export(kept.journal.path)


def test_what_goes_is_named_before_a_person_is_asked(training: Bench, mirroring: Mirroring, store: FolderStore) -> None:
    there = names(store, "")
    done = run("mirror", store.folder, "--forget", training.run.id, given="n\n")
    assert done.exit_code == 1
    for text in (
        training.run.id,
        training.run.name,
        "4 events",
        "a training that goes on with it brings it back",
        "1 checkpoint",
    ):
        assert text in done.output
    assert names(store, "") == there


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--forget", "nobody", "--yes"), "'nobody' fits no run; in"),
        (("--forget", "x", "--json"), "--json asks no questions"),
        (("--forget", "x", "--check"), "leave out --check"),
    ],
)
def test_what_cannot_be_forgotten_is_said(
    mirroring: Mirroring, store: FolderStore, arguments: tuple[str, ...], why: str
) -> None:
    there = names(store, "")
    done = run("mirror", store.folder, *arguments)
    assert (done.exit_code, why in done.output) == (2, True)
    assert names(store, "") == there


def test_json_tells_which_runs(training: Bench, mirroring: Mirroring, store: FolderStore) -> None:
    told: dict[str, Any] = json.loads(
        run("mirror", store.folder, "--forget", training.run.id, "--yes", "--json").stdout
    )
    assert told["forgotten"] == [training.run.id]


def test_one_that_was_interrupted_is_done_by_the_next(
    training: Bench, mirroring: Mirroring, store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [3]
    delete = FolderStore.delete

    def fail(own: FolderStore, name: str) -> None:
        if not left[0]:
            raise MirrorUnavailable("it went away")
        left[0] -= 1
        delete(own, name)

    with monkeypatch.context() as patched:
        patched.setattr(FolderStore, "delete", fail)
        assert forget(training, store).exit_code == 1
    assert forget(training, store).exit_code == 0
    assert names(store, f"runs/{training.run.id}/") == names(store, "parts/") == []


@pytest.mark.parametrize("hand_over", [hand_over_all, hand_over_results])
def test_a_drain_of_a_journal_that_still_has_it_does_not_bring_it_back(
    training: Bench, mirroring: Mirroring, store: FolderStore, hand_over: Callable[..., None]
) -> None:
    forget(training, store)
    hand_over(training.journal, store.address, [training.run.id])
    assert names(store, f"runs/{training.run.id}/") == []
    assert mirrors_of(training.journal.path) == {}


def test_a_training_that_goes_on_with_it_loses_nothing(
    training: Bench, mirroring: Mirroring, store: FolderStore, tmp_path: Path
) -> None:
    forget(training, store)
    training.event("training_complete")
    mirroring.step()
    mirroring.step(is_last=True)
    assert mirroring.state(training.run.id).is_whole
    with journal.open(tmp_path / "new") as opened:
        assert restore(opened, store, [training.run.id]).troubles == []
    assert export(tmp_path / "new") == export(training.journal.path)
    assert names(store, "forgotten/") == []
    hand_over_all(training.journal, store.address, [training.run.id])
    assert len(mirrors_of(training.journal.path)) == 1


def test_where_another_run_cannot_be_read_no_checkpoint_goes(
    training: Bench, kept: Bench, mirroring: Mirroring, store: FolderStore
) -> None:
    """Nobody knows what it needs."""
    (segment,) = store.folder.glob(f"runs/{kept.run.id}/*/*.gz")
    segment.write_bytes(segment.read_bytes()[:-4])
    there = [*names(store, "blobs/"), *names(store, "parts/")]
    assert forget(training, store).exit_code == 0
    assert [*names(store, "blobs/"), *names(store, "parts/")] == there
