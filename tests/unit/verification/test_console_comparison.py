"""Console text is compared as text: however its chunks were joined, what is there and what is not is told apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from journal.records import Event
from uploader.console_chunks import chunk_payload, joined
from uploader.platforms.reading_back import Item
from uploader.verification.console_comparison import ConsolePart, compare_console
from uploader.verification.expectation import Expected

Chunk = dict[str, Any]
TEXTS = st.lists(st.sampled_from(["", "a", "a\nb", "b", "a\n", " "]), min_size=1, max_size=8)


def chunks(texts: Sequence[str]) -> list[Chunk]:
    return [chunk_payload(10 + number, text, text.count("\n") + bool(text), {}) for number, text in enumerate(texts)]


def compared(recorded: Sequence[Chunk], shown: Sequence[Chunk], sessions: Sequence[int] = ()) -> list[ConsolePart]:
    expected = []
    for number, chunk in enumerate(recorded):
        event = Event(number + 1, "r", sessions[number] if sessions else 1, "console_output", "", "", "", number + 1, 1)
        expected.append(Expected(Item("console", str(chunk["chunkId"]), chunk), event))
    by_id: dict[str, list[Chunk]] = {}
    for chunk in shown:
        by_id.setdefault(str(chunk["chunkId"]), []).append(chunk)
    return list(compare_console(expected, by_id))


def grouped(recorded: Sequence[Chunk], cuts: Sequence[bool]) -> list[list[Chunk]]:
    groups: list[list[Chunk]] = []
    for chunk, cut in zip(recorded, [True, *cuts], strict=False):
        if cut or not groups:
            groups.append([])
        groups[-1].append(chunk)
    return groups


@settings(max_examples=200, deadline=None)
@given(TEXTS, st.lists(st.booleans(), min_size=8, max_size=8))
def test_it_is_the_same_however_it_was_joined(texts: Sequence[str], cuts: Sequence[bool]) -> None:
    recorded = chunks(texts)
    parts = compared(recorded, [joined(group) for group in grouped(recorded, cuts)])
    assert all(part.is_there and part.difference is None for part in parts)
    assert sum(len(part.chunks) for part in parts) == len(recorded)


@settings(max_examples=200, deadline=None)
@given(TEXTS, st.lists(st.booleans(), min_size=8, max_size=8), st.data())
def test_a_chunk_that_is_lost_or_altered_is_found(texts: Sequence[str], cuts: Sequence[bool], data: Any) -> None:
    recorded = chunks(texts)
    shown = [joined(group) for group in grouped(recorded, cuts)]
    at = data.draw(st.sampled_from([number for number, one in enumerate(shown) if one["content"]] or [None]))
    if at is None:
        return
    if data.draw(st.booleans()):
        del shown[at]
    else:
        content = shown[at]["content"]
        shown[at]["content"] = data.draw(st.sampled_from([content[:-1], f"{content}\n{content}", f"x{content}", ""]))
    assert any(not part.is_there or part.difference for part in compared(recorded, shown))


def test_what_is_missing_behind_a_chunk_is_missing_and_not_different() -> None:
    recorded = chunks(["a", "b", "c"])
    first, rest = compared(recorded, recorded[:1])
    assert (len(first.chunks), first.is_there, first.difference) == (1, True, None)
    assert (len(rest.chunks), rest.is_there) == (2, False)


def test_chunks_of_another_session_are_not_joined() -> None:
    recorded = chunks(["a", "b"])
    whole = [joined(recorded)]
    assert len(compared(recorded, whole)) == 1
    parts = compared(recorded, whole, sessions=[1, 2])
    assert [part.is_there for part in parts] == [True, False]
    assert parts[0].difference == "it has more text there: 3 characters, and 1 here"


def test_words_tell_what_is_wrong_with_a_text() -> None:
    recorded = chunks(["abcd"])
    altered = [{**recorded[0], "content": text} for text in ("ab", "abcd\nabcd", "abxd", None)]
    assert [compared(recorded, [one])[0].difference for one in altered] == [
        "its text ends early: 2 of 4 characters are there",
        "it has more text there: 9 characters, and 4 here",
        "it has another text there",
        "it is no text there",
    ]
    [doubled] = compared(recorded, recorded * 2)
    assert (doubled.difference, doubled.is_doubled) == ("it is there 2 times, and no message takes one away", True)
