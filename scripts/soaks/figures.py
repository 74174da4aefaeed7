"""What the figures of all suites have in common."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TypeVar

Own = TypeVar("Own", bound="Figures")


@dataclass
class Figures:
    """Figures of one suite; each field can be added to its like."""

    def add(self: Own, other: Own) -> None:
        """Add another's figures to these."""
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))
