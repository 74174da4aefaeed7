"""Comparing console text, whose chunks are joined on the way: which text is shown, whatever its chunks are. Pure.

Consecutive chunks of a session are sent as one, under the id of the first. So a chunk that a platform shows stands for
the one of its id and those that follow it, up to the next one whose id is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from uploader.verification.expectation import Expected


@dataclass(frozen=True)
class ConsolePart:
    """Consecutive chunks as they were recorded, and what is shown of them.

    Attributes:
        chunks: They, in the order of their session.
        difference: How what is shown differs, in words; None where it is the same.
        is_there: Whether anything is shown of them.
        is_doubled: Whether several are shown under one id.
    """

    chunks: Sequence[Expected]
    difference: str | None
    is_there: bool
    is_doubled: bool = False


def compare_console(
    chunks: Iterable[Expected], shown: Mapping[str, Sequence[Mapping[str, Any]]]
) -> Iterator[ConsolePart]:
    """Yield the chunks in parts of which the same is to be said.

    Args:
        chunks: As they were recorded, in the order of the run.
        shown: The chunks that a platform shows, by their ids.
    """
    by_session: dict[int, list[Expected]] = {}
    for chunk in chunks:
        by_session.setdefault(chunk.event.session_id, []).append(chunk)
    for own in by_session.values():
        for group in _groups(own, shown):
            yield from _compared(group, shown.get(group[0].item.key, ()))


def _groups(chunks: Sequence[Expected], shown: Mapping[str, object]) -> Iterator[list[Expected]]:
    """Yield the chunks of a session, each one that is shown with those that follow it and are not."""
    group: list[Expected] = []
    for chunk in chunks:
        if group and chunk.item.key in shown:
            yield group
            group = []
        group.append(chunk)
    if group:
        yield group


def _compared(group: list[Expected], shown: Sequence[Mapping[str, Any]]) -> Iterator[ConsolePart]:
    if not shown:
        yield ConsolePart(group, None, is_there=False)
        return
    if doubled := times_there(shown):
        yield ConsolePart(group, doubled, is_there=True, is_doubled=True)
        return
    text, lines = shown[0].get("content"), shown[0].get("lineCount")
    known = _covered(group, text, lines)
    if known == 0:
        yield ConsolePart(group, _words(group, text), is_there=True)
        return
    yield ConsolePart(group[:known], None, is_there=True)
    if known < len(group):
        yield ConsolePart(group[known:], None, is_there=False)


def times_there(shown: Sequence[object]) -> str | None:
    """Return in words how often something is shown that is to be there once; None if it is."""
    return f"it is there {len(shown)} times, and no message takes one away" if len(shown) > 1 else None


def _covered(group: Sequence[Expected], text: object, lines: object) -> int:
    """Return how many of the chunks a text is of, 0 where it is of none."""
    found, content, count = 0, "", 0
    for number, chunk in enumerate(group, start=1):
        value = chunk.item.value or {}
        own = str(value.get("content") or "")
        content = f"{content}\n{own}" if content and own else content or own
        count += int(value.get("lineCount") or 0)
        if content == text and count == lines:
            found = number
        elif found:
            break
    return found


def _words(group: Sequence[Expected], text: object) -> str:
    if not isinstance(text, str):
        return "it is no text there"
    whole = "\n".join(own for chunk in group if (own := str((chunk.item.value or {}).get("content") or "")))
    if len(text) < len(whole) and whole.startswith(text):
        return f"its text ends early: {len(text)} of {len(whole)} characters are there"
    if len(text) > len(whole) and text.startswith(whole):
        return f"it has more text there: {len(text)} characters, and {len(whole)} here"
    return "it has another text there"
