"""Datasets: files that a person puts into `DATA/datasets/OWNER/SLUG.ndjson`.

Two empty files beside one change how it is served: `SLUG.processing` means that it is not ready yet, and `SLUG.private`
that only its owner may have it.
"""

from __future__ import annotations

import re
from pathlib import Path

from uploader.server.http_errors import Conflict, Forbidden, NotFound

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def file_of(data: Path, owner: str, slug: str) -> Path:
    """Return where a dataset's file is, or would be.

    Raises:
        NotFound: A name is one that no dataset can have, such as `..`.
    """
    if not (_NAME.fullmatch(owner) and _NAME.fullmatch(slug)):
        raise NotFound(f"No dataset '{owner}/{slug}' here")
    return data / "datasets" / owner / f"{slug}.ndjson"


def check_export(data: Path, owner: str, slug: str, reader: str) -> None:
    """Make sure that `reader` can have a dataset now.

    Raises:
        Conflict: It is still processing.
        Forbidden: It is private to another owner.
        NotFound: There is no such dataset.
    """
    path = file_of(data, owner, slug)
    if path.with_suffix(".private").exists() and owner != reader:
        raise Forbidden(f"Dataset '{owner}/{slug}' is private")
    if path.with_suffix(".processing").exists():
        raise Conflict(f"Dataset '{owner}/{slug}' is still processing: try again later")
    if not path.is_file():
        raise NotFound(f"No dataset '{owner}/{slug}' here: put it at datasets/{owner}/{slug}.ndjson in the data folder")
