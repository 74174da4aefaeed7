"""What a drain has come to, handed over to mirrors that are there: runs' ids at once, all the rest when it ends."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from journal.folder import Journal
from journal.mirror.forgetting import is_forgotten
from journal.mirror.journal_reader import JournalReader
from journal.mirror.mirror_addresses import open_mirror
from journal.mirror.mirror_state import forget_state, states
from journal.mirror.mirroring import Mirroring
from journal.mirror.results_mirroring import ResultsMirroring
from journal.mirror.stores import Store


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


def hand_over_results(journal: Journal, address: str, runs: Collection[str]) -> None:
    """Hand over what platforms have answered about some runs.

    Raises:
        JournalError: The mirror or the journal cannot be used.
    """
    store = open_mirror(address)
    ResultsMirroring(JournalReader(journal), store).step(_wanted(journal, store, runs), is_last=True)


def hand_over_all(
    journal: Journal, address: str, runs: Collection[str], has_moved: Callable[[], object] = lambda: None
) -> None:
    """Hand over everything of some runs, and note how far they are mirrored.

    Args:
        journal: The journal.
        address: The mirror's.
        runs: Their uuids.
        has_moved: Called whenever the mirror has taken something.

    Raises:
        JournalError: The mirror or the journal cannot be used.
    """
    store = open_mirror(address)
    if wanted := _wanted(journal, store, runs):
        mirroring = Mirroring(journal, store, wanted, has_moved=has_moved)
        mirroring.step(is_last=True)
        for run in wanted:
            mirroring.state(run).write(journal.path)


def _wanted(journal: Journal, store: Store, runs: Collection[str]) -> list[str]:
    """Return the runs that a person did not have this mirror forget; no more is known of a mirror of the others."""
    forgotten = [run for run in runs if is_forgotten(store, run)]
    for run in forgotten:
        forget_state(journal.path, run, store.address)
    return [run for run in runs if run not in forgotten]
