"""Parts of one journal that come from several places make that journal, whatever the order, and are delivered once."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import permutations
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from support.journals import rows
from support.mirrors import divide, export
from support.recordings import Recordings, recordings
from support.scripted_server import ScriptedServer, scripted_server

import journal
from journal.mirror.mirroring import Mirroring
from journal.mirror.stores import FolderStore
from journal.packs import archive, contents
from uploader.commands.packs import bring_in

DELIVERIES = "SELECT chunk_id, state, span FROM deliveries WHERE span IS NOT NULL ORDER BY chunk_id"


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as running:
        yield running


@pytest.fixture
def journals(tmp_path: Path) -> Iterator[Recordings]:
    with recordings(tmp_path / "whole") as opened:
        yield opened


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: hundreds of flushes of a disk take long."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as folder:
        yield Path(folder)


@pytest.fixture
def sources(journals: Recordings, server: ScriptedServer, tmp_path: Path) -> list[Path]:
    """A pack of an early moment, a copy of a later one that was drained, and two mirrors that overlap by half."""
    pack, copy, left, right = (tmp_path / name for name in ("early.pack", "copy", "left", "right"))
    training = journals.begin()
    training.started()
    training.epoch(0)
    with ExitStack() as stack:
        archive.write(contents.collect(stack, journals.journal), pack, journals.journal.uuid, lambda _: None)
    training.epoch(1)
    training.console(1)
    shutil.copytree(journals.journal.path, copy)
    with recordings(copy) as drained:
        assert drained.drain(server.url).exit_code == 0
    for number in (2, 3):
        training.epoch(number)
    training.checkpoint(b"weights")
    training.complete()
    for mirror, drops in ((left, slice(6, None)), (right, slice(None, 3))):
        store = FolderStore(mirror)
        Mirroring(journals.journal, store).step(is_last=True)
        for name in divide(store)[drops]:
            store.delete(str(name))
    return [pack, copy, left, right]


def test_every_order_makes_the_same_journal_which_delivers_each_event_once(
    journals: Recordings, sources: list[Path], server: ScriptedServer, quick: Path
) -> None:
    found = []
    for number, order in enumerate(permutations(sources)):
        with journal.open(quick / f"merged-{number}", durability="process") as into:
            for source in order:
                bring_in(source, into, shown=False)
            assert into.blobs.names() == journals.journal.blobs.names(), order
            assert export(into.path) == export(journals.journal.path), order
            found.append(rows(into.path, DELIVERIES))
    assert all(one == found[0] for one in found)
    assert len(found) == 24
    with recordings(quick / "merged-23") as last:
        assert last.drain(server.url).exit_code == 0
    told = Counter((each["event"], str(each["data"].get("epoch"))) for each in server.bodies("/training/metrics"))
    assert {each for each in told if each[0] == "epoch_end"} == {("epoch_end", str(epoch)) for epoch in range(4)}
    assert set(told.values()) == {1}
    with journal.open(quick / "merged-0") as into:  # another copy learns from it that nothing is left
        bring_in(quick / "merged-23", into, shown=False)
    sent = len(server.requests)
    with recordings(quick / "merged-0") as first:
        assert first.drain(server.url).exit_code == 0
    assert [one for one in server.requests[sent:] if one.method == "POST"] == []
