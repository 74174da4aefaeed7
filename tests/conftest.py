"""What every test stands on: a home of its own, and a data set for the real trainings."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from dataset import make_dataset

SETTING_PREFIXES = ("UPLOADER_", "ULTRALYTICS_", "YOLO_", "XDG_")
_home = pytest.StashKey[tempfile.TemporaryDirectory[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Take the person's settings, keys and folders out of the environment, before any test module is imported."""
    for name in [name for name in os.environ if name.startswith(SETTING_PREFIXES)]:
        del os.environ[name]
    home = config.stash[_home] = tempfile.TemporaryDirectory(prefix="offline-uploader-home-")
    os.environ["HOME"] = home.name
    os.environ["YOLO_OFFLINE"] = "true"


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the home."""
    config.stash[_home].cleanup()


@pytest.fixture(scope="session")
def training_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data.yaml of a small detection data set."""
    return make_dataset(tmp_path_factory.mktemp("data"))
