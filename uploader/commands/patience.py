"""Looking at a shared journal again and again: its server may be away for a while, as when it is restarted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click


class Patience:
    """Waits for a journal that was there and is away, and says so once."""

    def __init__(self, command: str) -> None:
        """Have seen nothing yet.

        Args:
            command: The command's name, for messages.
        """
        self._command = command
        self._has_seen = False
        self._is_away = False

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Look at it in the block, which is left where it is away.

        Raises:
            JournalAway: It was never there.
        """
        from journal.errors import JournalAway

        try:
            yield
        except JournalAway as error:
            if not self._has_seen:
                raise
            self._tell(f"{error}; waiting for it", is_away=True)
        else:
            self._has_seen = True
            self._tell("The journal can be used again.", is_away=False)

    def _tell(self, message: str, *, is_away: bool) -> None:
        if is_away != self._is_away:
            self._is_away = is_away
            click.echo(f"uploader {self._command}: {message}", err=True)
