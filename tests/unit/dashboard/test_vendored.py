"""What others have written is here as they have published it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

import uploader.dashboard

pytestmark = pytest.mark.repository

VENDOR = Path(uploader.dashboard.__file__).parent / "assets" / "vendor"
# uPlot 1.6.32, of https://registry.npmjs.org/uplot/-/uplot-1.6.32.tgz: dist/uPlot.iife.min.js
UPLOT = "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f"


def test_uplot_is_the_file_that_was_published() -> None:
    assert hashlib.sha256((VENDOR / "uPlot.iife.min.js").read_bytes()).hexdigest() == UPLOT
