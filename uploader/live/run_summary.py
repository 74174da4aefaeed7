"""What is said of a run as a whole; each change is journaled at once, and the last ones are told when it completes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

from journal.encoding import plain
from journal.kinds import SUMMARY
from uploader.live.guard import optional
from uploader.live.logged_values import Logged, in_text, logged


class Summary(MutableMapping[str, Any]):
    """Values by name, such as the best accuracy. What is not said here is told as it was logged last.

    Args:
        write: Writes an event of a kind, a payload and a key; None where nothing is recorded.
        before: The last event's payload where the run goes on.
    """

    def __init__(self, write: Callable[[str, dict[str, Any], str], object] | None, before: Mapping[str, Any]) -> None:
        self._write = write
        self._values: dict[str, Any] = {**before.get("metrics", {}), **before.get("values", {})}

    def __getitem__(self, name: str) -> Any:
        """Return what was said."""
        return self._values[name]

    def __setitem__(self, name: str, value: Any) -> None:
        """Say something, in the place of what was said before."""
        self._values[name] = value
        self._record(name)

    def __delitem__(self, name: str) -> None:
        """Take back what was said."""
        del self._values[name]
        self._record(name)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._values)

    def __len__(self) -> int:
        """Return how much was said."""
        return len(self._values)

    def __repr__(self) -> str:
        """Return what was said, for people, as it is recorded."""
        return repr(dict(plain(self._values)))

    def numbers(self) -> dict[str, Any]:
        """Return the numbers, which are what platforms show."""
        return dict(self._told().metrics)

    def _told(self) -> Logged:
        return logged(self._values)

    def _record(self, name: str) -> None:
        if (write := self._write) is not None:
            optional("the summary", lambda: write(SUMMARY, self._told().payload(), in_text(name)))
