from __future__ import annotations

import gzip
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journal.clock import now_text
from journal.encoding import encode
from journal.errors import DamagedMirror
from journal.mirror import segments
from journal.mirror.layout import ResultsName, SegmentName, blob_name, parse_blob
from journal.mirror.numbers import HIGHEST, Numbers
from journal.mirror.segment_reading import least
from journal.records import Run
from journal.writing.fallback_format import Header

RUN, SESSION = "6f1c0000-0000-4000-8000-000000000001", "6f1c0000-0000-4000-8000-000000000002"
HEADER = Header("", Run(RUN, "p", "n", "/runs/n", now_text()), None, [], 1, "host", "", now_text(), SESSION, 1)


def entry(seq: int, payload: str | None = None) -> tuple[str, str, str, str, int]:
    return ("epoch_end", str(seq), payload or encode({"epoch": seq}), now_text(), seq)


def entries(first: int, last: int) -> list[tuple[str, str, str, str, int]]:
    return [entry(seq) for seq in range(first, last + 1)]


def name(first: int, last: int, digest: str = "0" * 32) -> SegmentName:
    return SegmentName(RUN, SESSION, first, last, digest)


def test_a_segment_is_read_as_it_was_written() -> None:
    made = segments.make(HEADER, entries(1, 3), None)
    read = segments.parse(made.name, made.content())
    assert read == made
    assert SegmentName.parse(str(made.name)) == made.name
    assert [json.loads(line)["payload"] for line in read.lines] == [{"epoch": seq} for seq in (1, 2, 3)]


def test_equal_segments_have_equal_bytes_and_names() -> None:
    events = entries(1, 3)
    one, other = (segments.make(HEADER, events, None) for _ in range(2))
    assert (one.name, one.content()) == (other.name, other.content())


@given(st.lists(st.integers(1, 4), min_size=1, max_size=6))
def test_the_chain_does_not_depend_on_how_events_are_divided(lengths: list[int]) -> None:
    events = entries(1, sum(lengths))
    parts, before, at = [], None, 0
    for length in lengths:
        parts.append(segments.make(HEADER, events[at : at + length], before))
        before, at = parts[-1].after, at + length
    merged = segments.merge(parts)
    assert merged == segments.make(HEADER, events, None)
    assert merged.after == before


def test_a_payload_that_was_written_by_hand_is_kept_to_the_letter() -> None:
    by_hand = '{ "a" : 1.50 }\n'
    made = segments.make(HEADER, [entry(1, by_hand)], None)
    (line,) = segments.parse(made.name, made.content()).lines
    assert json.loads(line)["payload"] == by_hand


@pytest.mark.parametrize(
    "damage",
    [
        lambda stored: stored[:-9],
        lambda stored: b"",
        lambda stored: stored[:40] + bytes([stored[40] ^ 1]) + stored[41:],
        lambda stored: gzip.compress(gzip.decompress(stored) + b"{}\n"),
        lambda stored: gzip.compress(gzip.decompress(stored).replace(b'"epoch":2', b'"epoch":7')),
    ],
)
def test_damage_is_found(damage: object) -> None:
    made = segments.make(HEADER, entries(1, 3), None)
    with pytest.raises(DamagedMirror, match="is damaged"):
        segments.parse(made.name, damage(made.content()))  # type: ignore[operator]


def test_a_segment_under_another_name_is_found() -> None:
    made = segments.make(HEADER, entries(1, 3), None)
    other = replace(HEADER, session="6f1c0000-0000-4000-8000-000000000003")
    strange = segments.make(other, entries(1, 3), None)
    for wrong in (made.name._replace(last=4), made.name._replace(session=other.session), strange.name):
        with pytest.raises(DamagedMirror):
            segments.parse(wrong, made.content())


def test_events_are_divided_at_gaps_and_by_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "MOST_EVENTS", 3)
    monkeypatch.setattr(segments, "MOST_BYTES", 100)
    events = [*entries(1, 4), entry(6), entry(7, encode({"long": "x" * 90})), entry(8)]
    assert [[one[4] for one in group] for group in segments.divided(events)] == [[1, 2, 3], [4], [6], [7], [8]]


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 5)), max_size=12))
def test_numbers_are_a_set(ranges: list[tuple[int, int]]) -> None:
    held = Numbers((first, first + more) for first, more in ranges)
    there = {number for first, more in ranges for number in range(first, first + more + 1)}
    missing = list(held.missing())
    assert len(held) == len(there)
    assert missing[-1][1] == HIGHEST - 1
    assert {number for number in range(1, 40) if any(low <= number <= high for low, high in missing)} == (
        set(range(1, 40)) - there
    )


def test_segments_that_others_make_unnecessary_are_told() -> None:
    needed, others = least([name(1, 2), name(3, 4), name(1, 4), name(4, 6), name(5, 5)])
    assert [(one.first, one.last) for one in needed] == [(1, 4), (4, 6)]
    assert [(one.first, one.last) for one in others] == [(1, 2), (3, 4), (5, 5)]


@pytest.mark.parametrize(
    "strange", ["runs/../../etc/passwd", "runs/x", "blobs/..", f"runs/{RUN}/{SESSION}/1-2-.gz", ""]
)
def test_a_strange_name_is_none_of_ours(strange: str) -> None:
    assert (SegmentName.parse(strange), ResultsName.parse(strange), parse_blob(strange)) == (None, None, None)


def test_names_are_read_as_they_are_written() -> None:
    results = ResultsName(RUN, "1" * 32)
    assert ResultsName.parse(str(results)) == results
    assert parse_blob(blob_name("a" * 64)) == "a" * 64
