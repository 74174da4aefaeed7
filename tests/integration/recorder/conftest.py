"""A place for a journal, a trainer's folder, and one for fallback files."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the journal is made."""
    return tmp_path / "journal"


@pytest.fixture
def save_dir(tmp_path: Path) -> Path:
    """The trainer's folder."""
    path = tmp_path / "runs" / "train"
    path.mkdir(parents=True)
    return path


@pytest.fixture
def fallbacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where events go that the journal cannot take."""
    monkeypatch.setenv("UPLOADER_FALLBACK", str(tmp_path / "fallback"))
    return tmp_path / "fallback"
