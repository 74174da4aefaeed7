"""Reads TensorBoard's event files: those of a folder are one run, as TensorBoard shows it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from uploader.importing.imported_run import FoundRun, ImportedRun, Problem
from uploader.importing.reader import UnreadableRun
from uploader.importing.readers.event_files import event_files, is_run, parts_of
from uploader.importing.readers.event_records import BODY, event_records
from uploader.importing.readers.tensorboard_library import TensorBoardLibrary
from uploader.importing.readers.tensorboard_run import StoredEvent, TensorBoardRun


class TensorBoardFolder:
    """Reads a folder with event files. Other tools write them, too, so a find is never certain."""

    name = "tensorboard"

    def detect(self, folder: Path) -> Sequence[FoundRun]:
        """Return the run of a folder, if it is not a part of the one above."""
        return [FoundRun(self.name, folder, is_certain=False, is_whole_folder=False)] if is_run(folder) else []

    def read(self, found: FoundRun) -> ImportedRun:
        """Return the run of a folder.

        Raises:
            UnreadableRun: TensorBoard is not installed, or no event can be read.
        """
        library = TensorBoardLibrary()
        run = TensorBoardRun(library)
        digests = [
            digest
            for part in parts_of(found.place)
            for file in event_files(part)
            if (digest := _read_file(file, part.relative_to(found.place), run, library))
        ]
        if not digests:
            raise UnreadableRun("; ".join(f"{each.what}: {each.why}" for each in run.problems) or "it has no events")
        return run.imported(found.place, digests[0])


READER = TensorBoardFolder()


def _read_file(file: Path, part: Path, run: TensorBoardRun, library: TensorBoardLibrary) -> tuple[str, ...]:
    """Return what tells a file from all others: its name, with time, machine and process, and its first event."""
    what = str(part / file.name)
    read = 0
    identity: tuple[str, ...] = ()

    def damaged(at: int, why: str) -> None:
        run.problems.append(Problem(what, f"the event at byte {at} cannot be read ({why}); {read} before it were"))

    run.begin("" if part == Path() else str(part))
    try:
        with file.open("rb") as stream:
            for at, body in event_records(stream, library.checksum, damaged):
                event = library.event(body)
                if event is None:
                    damaged(at, "it is no event of TensorBoard's")
                    continue
                run.add(event, StoredEvent(file, at + BODY, body))
                read += 1
                identity = identity or (file.name, hashlib.sha256(body).hexdigest())
    except OSError as error:
        run.problems.append(Problem(what, f"cannot be read: {error}"))
    return identity
