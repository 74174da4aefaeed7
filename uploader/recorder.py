"""`Recorder` under the name by which scripts import it; it lives in `uploader.recording.recorder`."""

from __future__ import annotations

from uploader.recording.recorder import Recorder

__all__ = ["Recorder"]
