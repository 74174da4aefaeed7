"""Taking a client's file into a dataset: a list in NDJSON is merged with what is there, an archive is kept as it is."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from uploader.server.http_errors import Invalid
from uploader.server.storage import datasets

LISTED = ".ndjson"
ENDINGS = (LISTED, ".zip", ".tar", ".tar.gz", ".tgz")
"""How the names of files for datasets end, as the SDK says."""


def ingest(data: Path, owner: str, slug: str, file: Path) -> None:
    """Merge a list into the dataset's own: of two images of one name, the one that is there stays.

    Raises:
        Invalid: It is no such list.
    """
    target = datasets.file_of(data, owner, slug)
    known = _records(target) if target.is_file() else []
    new = _records(file)
    names = {record.get("file") for record in known[1:]}
    merged = [*(known or new[:1]), *(record for record in new[1:] if record.get("file") not in names)]
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    with part.open("w", encoding="utf-8") as stream:
        stream.writelines(json.dumps(record) + "\n" for record in merged)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(target)


def _records(file: Path) -> list[dict[str, Any]]:
    try:
        records = [json.loads(line) for line in file.read_text("utf-8").splitlines() if line.strip()]
    except ValueError as error:
        raise Invalid("The file is no NDJSON: each line must be a JSON object") from error
    if not records or not all(isinstance(record, dict) for record in records):
        raise Invalid("The file is no NDJSON: each line must be a JSON object")
    return records
