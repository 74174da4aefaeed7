"""Differences between two platforms' models of the same trainings. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

# Ids, times and machine readings, which two trainings of the same thing cannot share; bytes with dates inside.
_OWN = re.compile(
    r"id|createdAt|updatedAt|startedAt|completedAt|arrivedAt|savedAt|timestamp|runIds|speedMs"
    r"|path|modelPath|modelSize|sha256|size|runId"
    r"|gitCommit|gitCommitMessage"  # of this checkout, which may change meanwhile
)
_SYSTEM = "system"
_OURS = {"uploaderRun", "uploaderSession", "uploaderProofKey", "offlineUploader"}
# Lines of the console whose existence or text depends on the machine's speed, and those of either reporter.
_VARYING = re.compile(
    r"image access|it/s|s/it|\dms|Results saved|Logging results|hours|cache|Scanning|[━─]|\d+G "
    r"|Platform:|Uploader:|^\s*$"
)


def differences(upstream: Sequence[Mapping[str, Any]], ours: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the differences by place, each with a description of both sides.

    Args:
        upstream: Upstream's models, as the platform shows them, in the order of their creation.
        ours: Our models, likewise.
    """
    if len(upstream) != len(ours):
        return {"models": f"{len(upstream)} and {len(ours)}"}
    found = {}
    for theirs, mine in zip(upstream, ours, strict=True):
        found.update(_compared("", {**theirs, "consoleChunks": None}, {**mine, "consoleChunks": None}))
        if missing := _lines(theirs["consoleChunks"]) - _lines(mine["consoleChunks"]):
            found["consoleChunks"] = f"missing in ours: {sorted(missing)}"
    return found


def _compared(place: str, theirs: Any, mine: Any) -> Iterator[tuple[str, str]]:
    if isinstance(theirs, Mapping) and isinstance(mine, Mapping):
        for name in sorted(theirs.keys() | (mine.keys() - _OURS)):
            inner = f"{place}.{name}".strip(".")
            if name not in theirs or name not in mine:
                there = "upstream" if name in theirs else "ours"
                yield inner, f"only in {there}: {str((theirs if name in theirs else mine)[name])[:80]}"
            elif not _OWN.fullmatch(name):
                yield from _compared(inner, *_readable(name, theirs[name], mine[name]))
    elif isinstance(theirs, list) and isinstance(mine, list):
        if len(theirs) != len(mine):  # the difference is then at the end
            yield place, f"{len(theirs)} and {len(mine)} of them"
            theirs, mine = (side[: min(len(theirs), len(mine)) - 1] for side in (theirs, mine))
        for number, pair in enumerate(zip(theirs, mine, strict=False)):
            yield from _compared(f"{place}.{number}", *pair)
    elif theirs != mine:
        yield place, f"{str(theirs)[:120]} and {str(mine)[:120]}"


def _readable(name: str, theirs: Any, mine: Any) -> tuple[Any, Any]:
    """Reduce machine readings to their names, because their values cannot be compared."""
    if name != _SYSTEM:
        return theirs, mine
    return sorted(theirs or {}), sorted(mine or {})


def _lines(chunks: Sequence[Mapping[str, Any]]) -> Counter[str]:
    """Return the console's lines without times and colours."""
    text = "\n".join(chunk["content"] for chunk in chunks if chunk["content"])
    plain = (re.sub(r"\x1b\[[0-9;]*m|^\[[^\]]*\] ", "", line).strip() for line in text.split("\n"))
    return Counter(line for line in plain if not _VARYING.search(line))
