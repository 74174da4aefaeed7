"""What a person wants of a run, said where its journal is: for a shared one on a node, from which it is collected."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.recordings import Recordings, recordings

from journal.collecting.collecting import Collecting


@contextmanager
def asked(journals: Recordings) -> Iterator[Path]:
    """Provide the folder of the journal in which it is said; at the block's end what was said has come in."""
    if not journals.journal.is_shared:
        yield journals.journal.path
        return
    with recordings(journals.journal.path.with_name("node")) as node:
        for one in journals.journal.report():
            node.writer.start_run(project=one.project, name=one.name, save_dir="", run_id=one.id)
        yield node.journal.path
        Collecting(node.journal, journals.journal).step(is_last=True)
