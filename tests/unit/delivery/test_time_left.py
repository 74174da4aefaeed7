from __future__ import annotations

from uploader.delivery.time_left import WINDOW_SECONDS, Mark, TimeLeft


def test_the_rest_takes_as_long_as_what_was_made_of_late() -> None:
    time_left = TimeLeft(100.0)
    assert time_left.seconds_for(Mark(110.0, 50, 0), 25, 0) == 5.0
    assert time_left.seconds_for(Mark(120.0, 100, 0), 0, 0) == 0.0


def test_a_large_upload_takes_as_long_as_its_bytes() -> None:
    assert TimeLeft(0.0).seconds_for(Mark(10.0, 100, 1_000), 10, 5_000) == 50.0


def test_nothing_is_known_where_nothing_was_delivered() -> None:
    time_left = TimeLeft(0.0)
    assert time_left.seconds_for(Mark(1.0, 0, 0), 10, 0) is None
    assert time_left.seconds_for(Mark(0.0, 5, 0), 10, 0) is None


def test_an_hour_without_a_network_is_forgotten() -> None:
    time_left = TimeLeft(0.0)
    time_left.seconds_for(Mark(10.0, 100, 0), 50, 0)
    for second in range(11, 3600, 10):
        time_left.seconds_for(Mark(float(second), 100, 0), 50, 0)
    assert time_left.seconds_for(Mark(3601.0, 100, 0), 50, 0) is None
    assert time_left.seconds_for(Mark(3611.0, 150, 0), 50, 0) is not None
    assert (time_left.seconds_for(Mark(3621.0, 200, 0), 50, 0) or 0) < WINDOW_SECONDS
