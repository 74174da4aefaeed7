"""Which run of a mirror a checkpoint file is of: a mirror may hold the runs of many machines, and one is resumed."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from journal.mirror.narrowed_sources import WithoutCheckpoints
from journal.mirror.restoring import restore
from journal.mirror.stores import Source
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
        restore(scratch, WithoutCheckpoints(store))
        found = scratch.recognition().saved(checkpoint)
        return found[0] if found else None
