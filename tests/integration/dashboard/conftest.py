from __future__ import annotations

import pytest
from support.browsers import chromium


@pytest.fixture(scope="module")
def browser():
    """One for a module's tests, because its start takes longer than most of them."""
    with chromium() as found:
        yield found
