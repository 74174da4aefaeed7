"""Runs that were read lately: read once while they do not change, and no more of them than fit."""

from __future__ import annotations

from support.shown_runs import ShownRuns

from uploader.dashboard.kept_news import KeptNews
from uploader.dashboard.shown import RunNews

KEYS = [f"local/demo/run-{number}" for number in range(3)]


class Counting(ShownRuns):
    """Counts how often a run is read as a whole."""

    def __init__(self) -> None:
        super().__init__(runs=3, epochs=5)
        self.read: list[str] = []

    def news(self, key, since=None):
        if since is None:
            self.read.append(key)
        return super().news(key, since)


def test_a_run_is_read_once_while_it_does_not_change():
    source, kept = Counting(), KeptNews()
    assert [len(kept.of(source, KEYS[:1])[KEYS[0]].epochs.at) for _ in range(3)] == [5, 5, 5]
    assert source.read == KEYS[:1]
    source.train(KEYS[0])
    assert [len(kept.of(source, KEYS[:1])[KEYS[0]].epochs.at) for _ in range(2)] == [6, 6]
    source.begin_anew()
    kept.of(source, KEYS[:1])
    assert source.read == [KEYS[0]] * 3


def test_a_cursor_that_moved_with_nothing_new_is_gone_on_from(monkeypatch):
    source, kept, asked = Counting(), KeptNews(), []
    first = kept.of(source, KEYS[:1])[KEYS[0]].cursor
    monkeypatch.setattr(source, "news", lambda key, since: asked.append(since) or RunNews("moved"))
    for _ in range(2):
        assert len(kept.of(source, KEYS[:1])[KEYS[0]].epochs.at) == 5
    assert asked == [first, "moved"]


def test_no_more_is_kept_than_fits_and_those_asked_for_last_stay():
    source, kept = Counting(), KeptNews(most=2 * 5 * 11)
    for key in (KEYS[0], KEYS[1], KEYS[0], KEYS[2], KEYS[0]):
        kept.of(source, [key])
    assert source.read == KEYS
    kept.of(source, KEYS[1:2])
    assert source.read == [*KEYS, KEYS[1]]


def test_nothing_is_told_of_a_run_that_is_gone():
    source, kept = Counting(), KeptNews()
    kept.of(source, KEYS[:1])
    source.remove(KEYS[0])
    assert [*kept.of(source, KEYS)] == KEYS[1:]
