from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.journals import Bench, bench

from journal.mirror.stores import FolderStore


@pytest.fixture
def training(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path / "machine" / "journal") as made:
        yield made


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "mirror")
