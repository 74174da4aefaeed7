"""How fast checkpoints come back from a mirror, compared with writing and flushing the same files."""

from __future__ import annotations

import os
import random
import shutil
import struct
import subprocess
from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import count
from pathlib import Path

import journal
from benches import trainings
from benches.measure import Result, Setting, Target, in_turn, seconds, table
from journal.mirror.mirroring import Mirroring
from journal.mirror.restoring import restore
from journal.mirror.stores import FolderStore

FILES = 10
SIZE = 26_400_000
"""A `last.pt` of yolo11n, with its optimizer."""
ROUNDS = 9
RAW, HERE, COMMAND = "write and fsync the same files", "restore", "uploader restore, a new process"
_names = count()


def run(setting: Setting) -> Result:
    """Measure whole restores into new journals, alternately with raw writing."""
    files = [_weights(number, 1 << 21 if setting.quick else SIZE) for number in range(FILES)]
    mirror = _mirror(setting.folder, files)
    contenders = {
        RAW: _timed(setting.folder, lambda folder: _write(folder, files)),
        HERE: _timed(setting.folder, lambda folder: _restore(folder, mirror)),
        COMMAND: _timed(setting.folder, lambda folder: _command(folder, mirror)),
    }
    megabytes = FILES * len(files[0]) / 1e6
    readings = {
        name: [megabytes / each for each in each_round]
        for name, each_round in in_turn(contenders, setting.rounds(ROUNDS)).items()
    }
    found = table(f"{FILES} checkpoints of {len(files[0]) / 1e6:.1f} MB", "MB/s", readings, more_is_better=True)
    return Result(
        (found,),
        (Target("restore over writing and fsync of the same files", found.ratio(HERE), 0.5, at_least=True),),
        ("The mirror is a folder on the same disk, in the system's cache.",),
    )


def _weights(seed: int, size: int) -> bytes:
    """Return numbers as weights are: a part of them has none twice, so they compress as these do."""
    numbers = random.Random(seed)
    some = struct.pack(f"<{1 << 16}f", *(numbers.gauss(0, 0.02) for _ in range(1 << 16)))
    return (some * (size // len(some) + 1))[:size]


def _mirror(folder: Path, files: Sequence[bytes]) -> FolderStore:
    store = FolderStore(folder / "mirror")
    source = folder / "weights.pt"
    with journal.open(folder / "journal") as opened:
        with closing(opened.writer()) as writer:
            started = writer.start_run(project="bench", name="restore", save_dir=str(folder))
            session = writer.start_session(started.id)
            for number, content in enumerate(files):
                source.write_bytes(content)
                facts = {"epoch": number, "filename": source.name}
                writer.add_checkpoint(started.id, session, opened.blobs.snapshot(source), f"role {number}", facts)
        Mirroring(opened, store).step(is_last=True)
    return store


def _timed(folder: Path, into: Callable[[Path], object]) -> Callable[[], list[float]]:
    def once() -> list[float]:
        target = folder / str(next(_names))
        done = seconds(lambda: into(target))
        shutil.rmtree(target)
        return [done]

    return once


def _write(folder: Path, files: Sequence[bytes]) -> None:
    folder.mkdir()
    for number, content in enumerate(files):
        with (folder / str(number)).open("wb", buffering=0) as file:
            file.write(content)
            os.fsync(file.fileno())


def _restore(folder: Path, store: FolderStore) -> None:
    with journal.open(folder) as opened:
        assert restore(opened, store).checkpoints == FILES


def _command(folder: Path, store: FolderStore) -> None:
    command = trainings.uploader("restore", store.address, "--journal", folder)
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
