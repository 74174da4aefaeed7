"""How much memory a drain needs to upload a small and a large checkpoint, and how much of a link it uses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from itertools import count
from pathlib import Path
from typing import get_args

import requests

import journal
from benches import memory, servers, storages, trainings
from benches.measure import Result, Setting, Table, Target, in_turn, table
from journal.checkpoints.blobs import file_stamp
from uploader.platforms.registry import PLATFORMS

SMALL, LARGE = 5_000_000, 500_000_000  # bytes
ROUNDS = 2
RATE, DELAY = 50e6, 0.05  # bytes a second, seconds
_TITLES = {spec.name: spec.title for spec in reversed(PLATFORMS)}
_BLOCK = bytes(range(256)) * 4096
_names = count()


def run(setting: Setting) -> Result:
    """Measure the peak of a drain that uploads one checkpoint to the local platform."""
    sizes = (SMALL // 100, LARGE // 100) if setting.quick else (SMALL, LARGE)
    with servers.local_platform(setting.folder / "platform") as url:
        found = [compare(setting.folder, url, platform, sizes, setting.rounds(ROUNDS)) for platform in _TITLES]
    targets = [Target(f"large checkpoint over small, {_place(each)}", each.rows[-1].ratio, 1.1) for each in found]
    with ExitStack() as stack:
        rates = _rates(stack, setting, sizes[-1])
    for row in rates.rows[1:]:
        targets.append(Target(f"of the link, {row.name}", row.p50 * 1e6 / RATE, 0.9, at_least=True))
    return Result(
        (*found, rates),
        tuple(targets),
        (
            "Resident memory of the whole process, interpreter and libraries included, until everything is delivered.",
            "The rate is that from a storage's first request to its last answer, through a process that lets so much "
            "through and adds the delay; the storage keeps nothing. It shares the machine's cores.",
        ),
    )


def _rates(stack: ExitStack, setting: Setting, size: int) -> Table:
    """Upload a checkpoint of this size over one link, in each way that a storage may take it."""
    contenders = {}
    for kind in get_args(storages.Kind):
        bare = stack.enter_context(storages.storing(kind))
        link = stack.enter_context(servers.delayed(bare, DELAY, RATE))
        if kind == "plain":
            contenders["requests.put"] = _putting(setting.folder, bare, link, size)
        contenders[f"uploader drain, {kind}"] = _uploading(setting.folder, bare, link, size)
    title = f"A checkpoint of {size / 1e6:,.0f} MB over {RATE / 1e6:.0f} MB/s with {1000 * DELAY:.0f} ms of delay"
    return table(title, "MB/s", in_turn(contenders, setting.rounds(ROUNDS)), 1e-6, more_is_better=True)


def _uploading(folder: Path, bare: str, link: str, size: int) -> Callable[[], list[float]]:
    def once() -> list[float]:
        trainings.drain(_record(folder / str(next(_names)), link, PLATFORMS[0].name, size), link)
        return [size / _took(bare)]

    return once


def _putting(folder: Path, bare: str, link: str, size: int) -> Callable[[], list[float]]:
    def once() -> list[float]:
        source = _checkpoint(folder / f"put-{next(_names)}", size)
        place = requests.post(f"{link}/models/upload", json={}, timeout=60).json()["uploadUrl"]
        with source.open("rb") as file:
            requests.put(place, data=file, timeout=600).raise_for_status()
        source.unlink()
        return [size / _took(bare)]

    return once


def _took(bare: str) -> float:
    return float(requests.get(f"{bare}{storages.TOOK}", timeout=60).json()) + DELAY / 2


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
    source = _checkpoint(folder / "best.pt", size)
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


def _checkpoint(file: Path, size: int) -> Path:
    """Write a file of this size, and return it."""
    with file.open("wb") as opened:
        for start in range(0, size, len(_BLOCK)):
            opened.write(_BLOCK[: size - start])
    return file


def _place(measured: Table) -> str:
    return measured.title.rpartition(", ")[2]
