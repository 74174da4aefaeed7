"""Which run of a mirror a checkpoint file is of: a mirror may hold the runs of many machines, and one is resumed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from journal.mirror.layout import BLOBS
from journal.mirror.restoring import restore
from journal.mirror.stores import Listed, Source
from journal.opening import open_journal


def run_that_saved(store: Source, checkpoint: Path) -> str | None:
    """Return the uuid of the run that saved a file, or one with the same bytes; None when the mirror knows of none.

    The events are read into a journal that is deleted again, so that a file is recognised as it is by any journal. A
    folder is not recognised: machines that share a mirror may have the same name and use the same path.

    Args:
        store: The mirror.
        checkpoint: The file.

    Raises:
        MirrorUnavailable: It cannot be read now.
        JournalError: The events cannot be written down on this machine.
    """
    with TemporaryDirectory(prefix="uploader-") as folder, open_journal(Path(folder)) as scratch:
        restore(scratch, _WithoutFiles(store))
        found = scratch.recognition().saved(checkpoint)
        return found[0] if found else None


class _WithoutFiles:
    """A mirror's small objects only; see `journal.mirror.stores.Source`."""

    def __init__(self, store: Source) -> None:
        self._store = store

    def get(self, name: str) -> bytes | None:
        return None if name.startswith(BLOBS) else self._store.get(name)

    def get_file(self, name: str, target: Path) -> bool:
        del name, target
        return False

    def list(self, prefix: str = "") -> Iterator[Listed]:
        return self._store.list(prefix)
