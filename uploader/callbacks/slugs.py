"""`project_slug` under the name by which scripts import it; it lives in `uploader.slugs`."""

from __future__ import annotations

import uploader.names  # noqa: F401 (first, as what follows may be another project's)

# isort: split
from uploader.slugs import project_slug

__all__ = ["project_slug"]
