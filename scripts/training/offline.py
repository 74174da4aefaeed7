"""Isolate Ultralytics: no telemetry, no downloads, and none of the user's settings."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def isolate_ultralytics(config: str | Path) -> None:
    """Give Ultralytics a separate configuration folder, and keep it off the network.

    Call this before the first import of ultralytics, which reads the environment once.

    Args:
        config: Folder for its settings and fonts; created if missing.
    """
    os.environ["YOLO_CONFIG_DIR"] = str(Path(config).resolve())
    os.environ["YOLO_OFFLINE"] = "true"
    # Under a test runner Ultralytics disables its own Platform callbacks; a training started here must be a real one.
    for name in ("PYTEST_CURRENT_TEST", "GITHUB_ACTIONS"):
        os.environ.pop(name, None)
    _provide_font(Path(config).resolve() / "Ultralytics")

    from ultralytics import settings

    settings.update(sync=False)


def _provide_font(folder: Path) -> None:
    """Provide a font, which Ultralytics would otherwise download for its plots."""
    import matplotlib

    folder.mkdir(parents=True, exist_ok=True)
    font = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    if not (folder / "Arial.ttf").exists():
        shutil.copyfile(font, folder / "Arial.ttf")
