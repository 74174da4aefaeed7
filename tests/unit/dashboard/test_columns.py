"""From what epochs and machines told to columns."""

from __future__ import annotations

from uploader.dashboard.columns import columns, evenly, machine_columns, number


def test_what_is_no_finite_number_is_none():
    assert [number(value) for value in (1, 2.5, float("nan"), float("inf"), True, "3", None)] == [1, 2.5] + [None] * 5


def test_a_row_that_lacks_a_value_has_none_and_a_name_without_any_number_is_left_out():
    told = columns([0, 1], ["a", "b"], [{"loss": 1.0, "text": "x"}, {"lr": 2}])
    assert told.values == {"loss": [1.0, None], "lr": [None, 2]}


def test_what_was_told_and_is_no_number_is_a_gap_and_what_was_not_told_is_none():
    told = columns([4, 5, 6], [], [{"loss": 1.0, "lr": 1}, {"loss": None}, {"lr": 2}])
    assert told.gaps == {"loss": [5]}


def test_a_machine_s_values_are_named_by_where_they_stand():
    sample = {"cpu": 5.0, "gpus": {"0": {"memory": 7}}, "disk": [{"mount": "/", "used_gb": 1.5}], "host": "a"}
    told = machine_columns([("2026-11-01T00:00:10Z", sample), ("2026-11-01T00:00:00+00:00", {"cpu": 4}), ("?", sample)])
    assert told.at == [1793491200.0, 1793491210.0]
    assert told.values == {"cpu": [4, 5.0], "gpus/0/memory": [None, 7], "disk/used_gb (/)": [None, 1.5]}


def test_evenly_keeps_the_first_and_the_last():
    assert evenly(range(5), 9) == range(5)
    assert evenly(range(100), 4) == [0, 33, 66, 99]
