"""The base class of all suites' figures."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TypeVar

Own = TypeVar("Own", bound="Figures")


@dataclass
class Figures:
    """Figures of one suite, which can be added field by field."""

    def add(self: Own, other: Own) -> None:
        """Add other figures to these."""
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))
