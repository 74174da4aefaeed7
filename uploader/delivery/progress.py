"""Who hears how far a drain is; `uploader/commands/progress_bars.py` shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from journal.records import Claim


class Progress(Protocol):
    """Hears how far a drain is. `upload` is called from the drain's threads."""

    def settled(self, deliveries: int) -> None:
        """So many more deliveries are settled."""
        ...

    def expect(self, deliveries: int) -> None:
        """About so many deliveries are left."""
        ...

    def arrived(self, claim: Claim) -> None:
        """This delivery was confirmed, and that is recorded."""
        ...

    def refused(self, claim: Claim, why: str) -> None:
        """This delivery was refused for good, and that is recorded."""
        ...

    def upload(self, name: str, size: int) -> AbstractContextManager[Callable[[int], None]]:
        """An upload of `size` bytes begins; the function is told how many of them were sent so far."""
        ...

    def close(self) -> None:
        """The drain is over."""
        ...


class Silent:
    """Shows nothing."""

    def settled(self, deliveries: int) -> None:
        """Ignore it."""

    def expect(self, deliveries: int) -> None:
        """Ignore it."""

    def arrived(self, claim: Claim) -> None:
        """Ignore it."""

    def refused(self, claim: Claim, why: str) -> None:
        """Ignore it."""

    @contextmanager
    def upload(self, name: str, size: int) -> Iterator[Callable[[int], None]]:
        """Return a function that ignores what it is told."""
        yield lambda _: None

    def close(self) -> None:
        """Do nothing."""
