"""`JournalOptions` under the name by which scripts import it; it lives in `uploader.recording.journal_options`."""

from __future__ import annotations

import uploader.names  # noqa: F401 (first, as what follows may be another project's)

# isort: split
from uploader.recording.journal_options import JournalOptions

__all__ = ["JournalOptions"]
