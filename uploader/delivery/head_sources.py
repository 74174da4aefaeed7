"""Where the heads of runs come from that a drain tells: a folder's are signed here, a shared journal's were brought."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Protocol

from journal.folder import Journal
from journal.opening import open_journal
from uploader.proving.signing_heads import SignedHeads, heads_brought, sign_heads, signers_here


class HeadSource(Protocol):
    """The heads of a journal's runs, for the thread that tells them."""

    def opened(self) -> AbstractContextManager[Journal]:
        """Provide the journal.

        Raises:
            JournalError: It cannot be used.
            OSError: It is not there any more.
        """

    def heads(self, journal: Journal, run: str) -> SignedHeads | None:
        """Return the heads of a run; None where it has none that can be told.

        Raises:
            JournalError: The journal cannot be used.
        """


class OwnHeads:
    """Those of a journal in a folder, which this machine signs."""

    def __init__(self, folder: Path) -> None:
        """Open nothing yet."""
        self._folder = folder

    @contextmanager
    def opened(self) -> Iterator[Journal]:
        """Open it for this thread."""
        (self._folder / "journal.db").stat()  # one that was removed is not to be made anew
        with open_journal(self._folder) as journal:
            yield journal

    def heads(self, journal: Journal, run: str) -> SignedHeads | None:
        """Sign them."""
        return sign_heads(journal, run, signers_here(journal))


class HeadsOfNodes:
    """Those of a shared journal, as the nodes have signed them: a drain has not trained, and signs nothing."""

    def __init__(self, journal: Journal) -> None:
        """Use a journal that is open; its connections are taken from a pool, by any thread."""
        self._journal = journal

    def opened(self) -> AbstractContextManager[Journal]:
        """Provide it, to be closed by whoever has opened it."""
        return nullcontext(self._journal)

    def heads(self, journal: Journal, run: str) -> SignedHeads | None:
        """Return what was brought."""
        return heads_brought(journal, run)


def head_source(journal: Journal) -> HeadSource:
    """Return where the heads come from of a journal that a drain has opened."""
    return HeadsOfNodes(journal) if journal.is_shared else OwnHeads(journal.path)
