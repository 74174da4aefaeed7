"""What a drain has come to, handed over to mirrors that are there: runs' ids at once, all the rest when it ends."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from journal.errors import MirrorUnavailable
from journal.folder import Journal
from journal.mirror.journal_reader import JournalReader
from journal.mirror.mirror_addresses import open_store
from journal.mirror.mirror_state import states
from journal.mirror.mirroring import Mirroring
from journal.mirror.results_mirroring import ResultsMirroring
from journal.mirror.stores import Store
from journal.reading.places import MIRROR_NOTE


def mirrors_of(journal: Path, runs: Collection[str] | None = None) -> dict[str, list[str]]:
    """Return the addresses of a journal's mirrors, each with the runs that it has.

    Args:
        journal: The journal's folder.
        runs: Only these runs; None for all.
    """
    found: dict[str, list[str]] = {}
    for state in (one for own in states(journal, runs).values() for one in own):
        found.setdefault(state.address, []).append(state.run)
    return found


def open_made(address: str) -> Store:
    """Return the store of a mirror that is there; it is not made anew, as its drive may not be mounted.

    Raises:
        MirrorUnavailable: It is not there, or cannot be used.
    """
    store = open_store(address)
    if store.get(MIRROR_NOTE) is None:
        raise MirrorUnavailable(f"it has no {MIRROR_NOTE}; is its drive mounted?")
    return store


def hand_over_results(journal: Journal, address: str, runs: Collection[str]) -> None:
    """Hand over what platforms have answered about some runs.

    Raises:
        JournalError: The mirror or the journal cannot be used.
    """
    ResultsMirroring(JournalReader(journal), open_made(address)).step(runs, is_last=True)


def hand_over_all(journal: Journal, address: str, runs: Collection[str]) -> None:
    """Hand over everything of some runs, and note how far they are mirrored.

    Raises:
        JournalError: The mirror or the journal cannot be used.
    """
    mirroring = Mirroring(journal, open_made(address), runs)
    mirroring.step(is_last=True)
    for run in runs:
        mirroring.state(run).write(journal.path)
