"""What a test wants and does not find: it is skipped on a person's machine, and fails in CI."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def not_here(reason: str) -> NoReturn:
    """End the test for want of something that can be installed; in CI no proof may vanish unseen."""
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
