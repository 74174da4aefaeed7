"""`JournalOptions` under the name by which scripts import it; it lives in `uploader.recording.session_writer`."""

from __future__ import annotations

from uploader.recording.session_writer import JournalOptions

__all__ = ["JournalOptions"]
