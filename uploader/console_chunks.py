"""A chunk of console text, as it is recorded and as the platform takes it, and consecutive ones as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def chunk_payload(number: int, content: str, lines: int, progress: Mapping[str, str]) -> dict[str, Any]:
    """Return the data of a `console_output` event.

    Args:
        number: Its id; platforms show chunks in the order of these.
        content: The lines, joined by newlines; empty when only progress moved.
        lines: How many.
        progress: The newest frame of each live progress bar, by the bar's id.
    """
    return {"chunkId": number, "content": content, "lineCount": lines, "progress": dict(progress)}


def folded(text: str) -> list[str]:
    """Return the lines of console text; of a line that was written over, what a terminal would show last."""
    return [_last_written(line) for line in text.split("\n")] if text else []


def _last_written(line: str) -> str:
    """Return what follows the last carriage return that anything follows."""
    return line.rstrip("\r").rpartition("\r")[2]


def joined(chunks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return consecutive chunks as one: known by the first one's id, all lines, the progress bars as they were last."""
    return {
        **chunks[0],
        "content": "\n".join(chunk["content"] for chunk in chunks if chunk["content"]),
        "lineCount": sum(chunk["lineCount"] for chunk in chunks),
        "progress": chunks[-1].get("progress", {}),
    }
