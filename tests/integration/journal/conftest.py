"""Fixtures over real journals."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.journals import Bench, Engine, bench


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a journal is made."""
    return tmp_path / "journal"


@pytest.fixture
def at(folder: Path, engine: Engine) -> Iterator[Bench]:
    """A run whose session, this process, is alive."""
    with bench(folder, engine) as opened:
        yield opened
