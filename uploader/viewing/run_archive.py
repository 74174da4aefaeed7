"""All that a journal has of a run, as the files of an archive."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from uploader.dashboard.shown import RunNews
from uploader.dashboard.zip_stream import File
from uploader.exporting.table_text import as_csv, as_json_lines
from uploader.reports.recorded_runs import RecordedRun
from uploader.viewing.journal_news import console_text

_BLOCK = 1 << 20


def archive_files(run: RecordedRun, news: RunNews) -> Iterator[File]:
    """Yield the files: what it measured, what it printed, what is known of it, its pictures and its checkpoints.

    Args:
        run: The run.
        news: All that its page tells.
    """
    table = run.metrics(evaluation=True)
    yield "epochs.csv", _made(lambda: as_csv(table))
    yield "epochs.jsonl", _made(lambda: as_json_lines(table))
    yield "run.json", _made(lambda: json.dumps({**asdict(news), "console": None}, indent=2, default=str))
    yield "console.txt", (console_text([chunk]).encode("utf-8", "replace") for chunk in run.console_chunks())
    for number, one in enumerate(run.media()):
        if one.content is not None:
            yield f"images/{number:04}.{(one.mime or 'image/bin').partition('/')[2]}", [one.content]
    for kept in {each.sha256: each for each in run.checkpoints() if each.is_kept}.values():
        blob = run.journal / "blobs" / kept.sha256
        if blob.is_file():
            yield f"weights/{kept.role}-{kept.sha256[:12]}.pt", blob_parts(blob)


def blob_parts(path: Path) -> Iterator[bytes]:
    """Yield the content of a file, block by block."""
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block


def _made(text: Callable[[], str]) -> Iterable[bytes]:
    return (text().encode("utf-8", "replace") for _ in range(1))
