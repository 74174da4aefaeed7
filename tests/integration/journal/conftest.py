"""Fixtures over real journals."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.journals import ENGINES, Bench, Engine, bench


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests of a module that has `ON_BOTH_ENGINES` on both, unless one names its engine."""
    named = any("engine" in marker.args[0] for marker in metafunc.definition.iter_markers("parametrize"))
    if "engine" in metafunc.fixturenames and hasattr(metafunc.module, "ON_BOTH_ENGINES") and not named:
        metafunc.parametrize("engine", ENGINES)


@pytest.fixture
def engine() -> Engine:
    """What holds the journal."""
    return "sqlite"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a journal is made."""
    return tmp_path / "journal"


@pytest.fixture
def at(folder: Path, engine: Engine) -> Iterator[Bench]:
    """A run whose session, this process, is alive."""
    with bench(folder, engine) as opened:
        yield opened
