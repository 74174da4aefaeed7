"""Keeps ultralytics to itself: no telemetry, no downloads, no settings of the person who runs it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def isolate_ultralytics(config: str | Path) -> None:
    """Give ultralytics a configuration folder of its own and no reason to touch the network.

    Call it before the first import of ultralytics, which reads the environment once.

    Args:
        config: The folder for its settings and fonts; made when missing.
    """
    os.environ["YOLO_CONFIG_DIR"] = str(Path(config).resolve())
    os.environ["YOLO_OFFLINE"] = "true"
    # Under a test runner ultralytics silences its own Platform callbacks; a training started here is to be a real one.
    for name in ("PYTEST_CURRENT_TEST", "GITHUB_ACTIONS"):
        os.environ.pop(name, None)
    _provide_font(Path(config).resolve() / "Ultralytics")

    from ultralytics import settings

    settings.update(sync=False)


def _provide_font(folder: Path) -> None:
    """Put a font where ultralytics would otherwise download one for its plots."""
    import matplotlib

    folder.mkdir(parents=True, exist_ok=True)
    font = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    if not (folder / "Arial.ttf").exists():
        shutil.copyfile(font, folder / "Arial.ttf")
