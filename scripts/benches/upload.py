"""How much memory a drain needs to upload a small and a large checkpoint, for each kind of platform."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import count
from pathlib import Path

import journal
from benches import memory, servers
from benches.measure import Result, Setting, Table, Target, in_turn, table
from journal.checkpoints.blobs import file_stamp
from uploader.platforms.registry import PLATFORMS

SMALL, LARGE = 5_000_000, 500_000_000  # bytes
ROUNDS = 2
_TITLES = {spec.name: spec.title for spec in reversed(PLATFORMS)}
_BLOCK = bytes(range(256)) * 4096
_names = count()


def run(setting: Setting) -> Result:
    """Measure the peak of a drain that uploads one checkpoint to the local platform."""
    sizes = (SMALL // 100, LARGE // 100) if setting.quick else (SMALL, LARGE)
    with servers.local_platform(setting.folder / "platform") as url:
        found = [compare(setting.folder, url, platform, sizes, setting.rounds(ROUNDS)) for platform in _TITLES]
    targets = [Target(f"large checkpoint over small, {_place(each)}", each.rows[-1].ratio, 1.1) for each in found]
    return Result(
        tuple(found),
        tuple(targets),
        ("Resident memory of the whole process, interpreter and libraries included, until everything is delivered.",),
    )


def compare(folder: Path, url: str, platform: str, sizes: Sequence[int], rounds: int) -> Table:
    """Measure drains that upload checkpoints of these sizes (bytes) to one platform; the first is the baseline."""
    contenders = {f"{size / 1e6:,.0f} MB": _peak(folder, url, platform, size) for size in sizes}
    title = f"Peak memory of a drain that uploads, {_TITLES[platform]}"
    return table(title, "MB", in_turn(contenders, rounds), 1e-6)


def _peak(folder: Path, url: str, platform: str, size: int) -> Callable[[], list[float]]:
    def once() -> list[float]:
        made = _record(folder / str(next(_names)), url, platform, size)
        return [memory.peak_of_drain(made, url, platform)]

    return once


def _record(folder: Path, url: str, platform: str, size: int) -> Path:
    """Create a journal of one training with a checkpoint of this size in bytes; return its folder."""
    folder.mkdir()
    source = folder / "best.pt"
    with source.open("wb") as file:
        for start in range(0, size, len(_BLOCK)):
            file.write(_BLOCK[: size - start])
    with journal.open(folder / "journal", durability="process") as opened, closing(opened.writer()) as writer:
        run = writer.start_run(project="bench", name=folder.name, save_dir=str(folder))
        writer.route(run.id, platform, url)
        session = writer.start_session(run.id)
        writer.append(run.id, session, "training_started", {"environment": {"uploaderRun": run.id}}, "1")
        snapshot = opened.blobs.snapshot(source, file_stamp(source))
        facts = {"epoch": 0, "filename": source.name, "publish": True, "isBest": True}
        writer.add_checkpoint(run.id, session, snapshot, "final", facts)
        writer.end_session(session, "complete")
    source.unlink()
    return folder / "journal"


def _place(measured: Table) -> str:
    return measured.title.rpartition(", ")[2]
