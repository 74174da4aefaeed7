"""Chunk ids: the same for the same delivery, different for any other."""

from __future__ import annotations

from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from journal.ids import chunk_id, digest, span

parts = st.fixed_dictionaries(
    {
        "run_id": st.uuids().map(str),
        "platform": st.text(max_size=9),
        "base_url": st.text(max_size=9),
        "kind": st.text(max_size=9),
        "first_event": st.integers(0, 999),
        "last_event": st.integers(0, 999),
        "body_digest": st.text(max_size=9).map(digest),
    }
)


@settings(max_examples=50, deadline=None)
@given(parts)
def test_the_same_parts_give_the_same_id(delivery: dict[str, Any]) -> None:
    first = chunk_id(**delivery)
    assert first == chunk_id(**dict(reversed(delivery.items())))
    assert len(first) == 64
    assert set(first) <= set("0123456789abcdef")


@settings(max_examples=50, deadline=None)
@given(parts, parts)
def test_each_part_matters(delivery: dict[str, Any], other: dict[str, Any]) -> None:
    for name, value in other.items():
        if value != delivery[name]:
            assert chunk_id(**{**delivery, name: value}) != chunk_id(**delivery)


@settings(max_examples=50, deadline=None)
@given(parts, st.text(min_size=1, max_size=5))
def test_text_that_moves_from_one_part_to_the_next_matters(delivery: dict[str, Any], moved: str) -> None:
    left = {**delivery, "platform": delivery["platform"] + moved}
    right = {**delivery, "base_url": moved + delivery["base_url"]}
    assume(left != right)
    assert chunk_id(**left) != chunk_id(**right)


def test_the_id_stays_what_it_was_in_earlier_versions() -> None:
    delivery = {
        "run_id": "00000000-0000-0000-0000-000000000001",
        "platform": "ultralytics",
        "base_url": "https://platform.example",
        "kind": "epoch_end",
        "first_event": 7,
        "last_event": 7,
        "body_digest": digest('{"epoch":0}'),
    }
    assert chunk_id(**delivery) == "8bd587e7106a1f6c0da35cbb663f2bf9fff5f7ed3456151f92cf622197eeabff"


@settings(max_examples=50, deadline=None)
@given(parts, st.uuids().map(str), st.integers(1, 999))
def test_the_id_of_a_span_of_identities_depends_on_no_local_id(
    delivery: dict[str, Any], session: str, seq: int
) -> None:
    moved = {**delivery, "first_event": delivery["first_event"] + 1, "last_event": delivery["last_event"] + 1}
    covered = span((session, seq), (session, seq + 1))
    assert chunk_id(**delivery, span=covered) == chunk_id(**moved, span=covered) != chunk_id(**delivery)
    for other in (span((session, seq), (session, seq + 2)), span((session, seq + 1), (session, seq + 1))):
        assert chunk_id(**delivery, span=other) != chunk_id(**delivery, span=covered)
