"""Times: text order is time order, and nothing is lost on the way."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from journal.clock import from_text, now_text, to_text, utc_now

times = st.datetimes(
    min_value=datetime(1970, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    timezones=st.sampled_from([timezone.utc, timezone(timedelta(hours=-9, minutes=30)), timezone(timedelta(hours=14))]),
    max_value=datetime(9998, 1, 1),  # noqa: DTZ001
)


@settings(max_examples=50, deadline=None)
@given(times)
def test_a_time_comes_back_as_it_was(moment: datetime) -> None:
    assert from_text(to_text(moment)) == moment


@settings(max_examples=50, deadline=None)
@given(times, times)
def test_text_sorts_by_time(one: datetime, other: datetime) -> None:
    assert (to_text(one) < to_text(other)) == (one < other)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="without a zone"):
        to_text(datetime(2026, 1, 1))  # noqa: DTZ001


def test_now_has_the_same_form_as_every_other_time() -> None:
    before, now, after = utc_now(), now_text(), utc_now()
    assert before <= from_text(now) <= after
    assert to_text(from_text(now)) == now
