"""What runs the tests of a module on both engines: a `conftest.py` imports it for the tests of its folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.journals import ENGINES, Engine, give_back_databases


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests of a module that has `ON_BOTH_ENGINES` on both, unless one names its engine."""
    named = any("engine" in marker.args[0] for marker in metafunc.definition.iter_markers("parametrize"))
    if "engine" in metafunc.fixturenames and hasattr(metafunc.module, "ON_BOTH_ENGINES") and not named:
        metafunc.parametrize("engine", ENGINES, indirect=True)


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """What holds the journal."""
    yield getattr(request, "param", "sqlite")
    give_back_databases()
