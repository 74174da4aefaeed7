"""Datasets: files that the operator puts into `DATA/datasets/OWNER/SLUG.ndjson`.

Two empty marker files beside a dataset change how it is served: with `SLUG.processing` it is not ready yet, with
`SLUG.private` only its owner may read it.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path

from uploader.server.http_errors import Conflict, Forbidden, NotFound

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def file_of(data: Path, owner: str, slug: str) -> Path:
    """Return the path of a dataset's file, whether or not it exists.

    Raises:
        NotFound: A name that no dataset can have, such as `..`.
    """
    if not (_NAME.fullmatch(owner) and _NAME.fullmatch(slug)):
        raise NotFound(f"No dataset '{owner}/{slug}' here")
    return data / "datasets" / owner / f"{slug}.ndjson"


def names(data: Path) -> list[str]:
    """Return the datasets that are there, as `OWNER/SLUG`."""
    return sorted(f"{each.parent.name}/{each.stem}" for each in (data / "datasets").glob("*/*.ndjson"))


def is_processing(data: Path, owner: str, slug: str) -> bool:
    """Return whether a dataset is not ready yet."""
    return file_of(data, owner, slug).with_suffix(".processing").exists()


def splits(data: Path, owner: str, slug: str) -> dict[str, int]:
    """Return how many images of each split a dataset lists."""
    counts = {"train": 0, "val": 0, "test": 0}
    with suppress(OSError, ValueError), file_of(data, owner, slug).open(encoding="utf-8") as lines:
        for record in map(json.loads, filter(str.strip, lines)):
            if isinstance(record, dict) and record.get("split") in counts:
                counts[record["split"]] += 1
    return counts


def check_export(data: Path, owner: str, slug: str, reader: str) -> None:
    """Check that `reader` may export a dataset now.

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
