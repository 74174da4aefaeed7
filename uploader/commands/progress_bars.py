"""What a person sees while a command works."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from journal.records import Claim


@contextmanager
def byte_bar(what: str, size: int, *, shown: bool) -> Iterator[Callable[[int], object]]:
    """Show a bar on stderr for work on so many bytes; the function is told of each further part.

    Args:
        what: The work, in a word.
        size: How many bytes there are.
        shown: Whether to show it; it never is where nobody sees it.
    """
    if not shown or not sys.stderr.isatty():
        yield lambda _: None
        return
    from tqdm import tqdm

    with tqdm(desc=what, total=size, unit="B", unit_scale=True, leave=False, dynamic_ncols=True) as bar:
        yield bar.update


class Bars:
    """Progress bars on stderr: one for the deliveries, with the time left, one for each upload in bytes."""

    def __init__(self) -> None:
        """Show the first bar; how many deliveries there are to be is counted later."""
        from tqdm import tqdm

        self._tqdm = tqdm
        self._deliveries = tqdm(desc="deliveries", unit="", dynamic_ncols=True)

    def settled(self, deliveries: int) -> None:
        """Fill the bar."""
        self._deliveries.update(deliveries)

    def expect(self, deliveries: int) -> None:
        """Show how many deliveries there are to be, and so how long they will take."""
        self._deliveries.total = self._deliveries.n + deliveries
        self._deliveries.refresh()

    def arrived(self, claim: Claim) -> None:
        """Show nothing of a single one."""

    def refused(self, claim: Claim, why: str) -> None:
        """Show nothing of a single one."""

    def say(self, line: str) -> None:
        """Print a line on stdout, above the bars."""
        self._tqdm.write(line)

    @contextmanager
    def upload(self, name: str, size: int) -> Iterator[Callable[[int], None]]:
        """Show a bar for the upload as long as it lasts."""
        with self._tqdm(desc=name, total=size, unit="B", unit_scale=True, leave=False, dynamic_ncols=True) as bar:
            yield lambda sent: _fill_to(bar, sent)

    def close(self) -> None:
        """Leave the bar as it is."""
        self._deliveries.close()


def _fill_to(bar: Any, sent: int) -> None:
    bar.update(sent - bar.n)
