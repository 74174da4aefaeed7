"""Up to where a page knows a run of a journal."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Any


@dataclass(frozen=True)
class JournalCursor:
    """What a page was told last of a run.

    Attributes:
        last: Id of the run's last event then.
        line: Digest of its line.
        facts: Digest of its facts; empty where it was not told all of them.
    """

    last: int = 0
    line: str = ""
    facts: str = ""

    @classmethod
    def read(cls, since: str | None) -> JournalCursor:
        """Return what a cursor holds; what a new page knows where it is none of ours.

        Args:
            since: The cursor, perhaps with what the list's was before it.
        """
        try:
            last, line, facts = json.loads((since or "").rpartition(" ")[2])
            return cls(int(last), str(line), str(facts))
        except (ValueError, TypeError):
            return cls()

    def __str__(self) -> str:
        """Return it as pages send it."""
        return json.dumps([self.last, self.line, self.facts], separators=(",", ":"))


def digest(value: Any) -> str:
    """Return a digest of a line or of facts."""
    return sha256(repr(value).encode("utf-8", "surrogatepass")).hexdigest()[:12]
