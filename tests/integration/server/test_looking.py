"""What pages are told: all of it once, then only what is new, and nothing is read while nothing is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from support.told_platform import KEY, Told, told_platform

from uploader.dashboard import page_json
from uploader.dashboard.run_source import UnknownRun
from uploader.dashboard.shown import RunNews
from uploader.server.http_errors import Invalid
from uploader.server.storage import change_log
from uploader.server.storage.hub_store import HubModel

HALF_A_PAIR = "\ud800"  # JSON can carry it, UTF-8 cannot
RECORDED = Path(__file__).parent / "fixtures" / "detect-8.4.190.jsonl"


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    with told_platform(tmp_path) as platform:
        yield platform


class Page:
    """A page that is open: what it was told, put together as its scripts do."""

    def __init__(self, told: Told, key: str = KEY) -> None:
        self._source, self._key = told.source, key
        self.news = self._source.news(key)
        self.epochs = dict(zip(self.news.epochs.at, self.news.epochs.values.get("train/loss", ()), strict=False))
        self.console = self.news.console

    def look(self) -> RunNews:
        self.news = news = self._source.news(self._key, self.news.cursor)
        if news.is_whole:
            self.epochs = {}
        self.epochs |= dict(zip(news.epochs.at, news.epochs.values.get("train/loss", ()), strict=False))
        self.console = news.console if news.console_is_whole_tail else self.console + news.console
        return news


def test_a_look_that_finds_nothing_new_does_not_read_the_store(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    told.start()
    told.epoch(0)
    listed, page = told.source.runs(), Page(told)
    monkeypatch.setattr(told.platform.store, "look", lambda: pytest.fail("the store is read"))
    monkeypatch.setattr(told.platform.store, "read", lambda: pytest.fail("the store is read"))
    for _ in range(2):
        again = told.source.runs(listed.cursor)
        assert (again.runs, again.gone, again.cursor) == ((), (), listed.cursor)
        assert page.look() == RunNews(page.news.cursor)


def test_an_epoch_is_told_once_in_less_than_two_kilobytes(told: Told) -> None:
    """With the metrics and the machine of a real training of detection, and a hundred arguments."""
    recorded = [json.loads(line)["body"] for line in RECORDED.read_text().splitlines()]
    epochs = [each["data"] for each in recorded if isinstance(each, dict) and each.get("event") == "epoch_end"]
    told.start(trainArgs={f"argument_{number}": number for number in range(100)}, epochs=100)
    told.event("epoch_end", epochs[0])
    page, listed = Page(told), told.source.runs()
    for number in range(1, 4):
        told.clock[0] += 60
        told.event("epoch_end", {**epochs[1], "epoch": number, "total_epochs": 100}, evaluation="no")
        news = page.look()
        assert (news.epochs.at, news.facts, news.console) == ([number], None, "")
        assert news.progress is not None
        assert len(page_json.as_json(page_json.change(news))) < 2000
        changed = told.source.runs(listed.cursor)
        assert [run.epochs_done for run in changed.runs] == [number + 1]
        assert len(page_json.as_json(page_json.run_changes(changed))) < 2000
        listed = changed
    assert changed.runs[0].seconds == 180
    said = {fact.label: fact.value for fact in news.progress.facts}
    assert (said["Took"], said["An epoch took"]) == (180_000, 45_000)


def test_an_epoch_that_is_trained_again_takes_the_place_of_the_first(told: Told) -> None:
    told.start()
    for number in range(3):
        told.epoch(number, fitness=number)
    page = Page(told)
    assert page.news.facts is not None
    assert page.news.facts.best == 2
    told.epoch(1, metrics={"train/loss": 9.0}, fitness=7)
    news = page.look()
    assert news.progress is not None
    assert (news.epochs.at, news.progress.best, page.epochs) == ([1, 2], 1, {0: 2.0, 1: 9.0, 2: 2 / 3})
    told.epoch(1, metrics={"train/loss": 9.0}, fitness=7)  # delivered twice
    assert page.look().epochs.at == ()


def test_the_final_evaluation_is_no_epoch_of_an_open_page_either(told: Told) -> None:
    told.start(epochs=9)
    told.epoch(0)
    page = Page(told)
    told.epoch(1, evaluation="yes")
    news = page.look()
    assert (news.facts and news.facts.evaluation["metrics/mAP50-95(B)"], page.epochs) == (0.01, {0: 2.0})
    told.epoch(1)  # a training that goes on after it
    assert (page.look().facts is not None, page.epochs) == (False, {0: 2.0, 1: 1.0})


def test_an_epoch_that_turns_out_to_be_none_goes_from_an_open_page(told: Told) -> None:
    """The final evaluation of an older client arrives before the epoch by which it is known."""
    told.start()
    told.epoch(0)
    evaluated = {"train/loss": 1.0, "metrics/mAP50-95(B)": 0.5}
    told.epoch(2, evaluation=None, metrics=evaluated)
    page = Page(told)
    assert sorted(page.epochs) == [0, 2]
    told.epoch(1, evaluation=None)
    assert (page.look().is_whole, sorted(page.epochs)) == (True, [0, 1])


def test_text_is_appended_and_told_again_only_if_something_before_it_has_changed(told: Told) -> None:
    told.start()
    told.print(0, "none", order="1 s 0 s 0")
    told.print(1, "one", order="1 s 1 s 1")
    page = Page(told)
    told.print(2, "two", order="1 s 2 s 2")
    told.print(3, "three", order="1 s 3 s 3")
    news = page.look()
    assert (news.console, news.console_is_whole_tail, page.console) == ("\ntwo\nthree", False, "none\none\ntwo\nthree")
    told.print(2, "two and three", order="1 s 2 s 3")  # the same text in a longer piece
    assert (page.look().console_is_whole_tail, page.console) == (True, "none\none\ntwo and three")
    assert "".join(told.source.console(KEY)) == page.console


def test_of_a_long_console_the_end_is_told(told: Told) -> None:
    told.start()
    for number in range(250):
        told.print(number, f"line {number}")
    page = Page(told)
    assert (page.console.splitlines()[0], page.news.console_cut) == ("line 150", True)
    lines = "".join(told.source.console(KEY)).splitlines()
    assert lines == [f"line {number}" for number in range(250)]


def test_a_state_that_time_turns_reaches_pages_that_are_open(told: Told) -> None:
    told.start()
    told.epoch(0)
    page, listed = Page(told), told.source.runs()
    for seconds, state in ((599, None), (1, "silent"), (86400 - 601, None), (1, "interrupted"), (86400, None)):
        told.clock[0] += seconds
        changed, news = told.source.runs(listed.cursor), page.look()
        assert [run.state for run in changed.runs] == ([state] if state else [])
        assert (news.line and news.line.state) == state
        listed = changed
    told.epoch(1)
    assert [run.state for run in told.source.runs(listed.cursor).runs] == ["running"]
    assert page.look().line.state == "running"  # type: ignore[union-attr]


def test_a_machine_that_sends_no_heartbeats_reaches_pages_that_are_open(told: Told) -> None:
    now = told.platform.now()
    with told.platform.store.write() as rows:
        rows.hub.insert(HubModel("m", {"epochs": 3}, {}, {}, {"name": "exp"}, now, now, heartbeat_at=now))
    page, listed = Page(told, "hub/m"), told.source.runs()
    assert page.news.line is not None
    assert page.news.line.state == "connected"
    told.clock[0] += 600
    assert [run.state for run in told.source.runs(listed.cursor).runs] == ["disconnected"]
    assert page.look().line.state == "disconnected"  # type: ignore[union-attr]


def test_after_another_start_all_is_told_in_place_of_what_was_told(tmp_path: Path) -> None:
    with told_platform(tmp_path) as told:
        told.start()
        told.epoch(0)
        page, listed, model = Page(told), told.source.runs(), told.model
    with told_platform(tmp_path) as told:
        told.model = model
        told.epoch(1)
        again = told.source.runs(listed.cursor)
        assert (again.is_whole, [run.key for run in again.runs]) == (True, [KEY])
        news = told.source.news(KEY, page.news.cursor)
        assert (news.is_whole, news.epochs.at, news.facts is not None) == (True, [0, 1], True)
        assert told.source.news(KEY, news.cursor) == RunNews(news.cursor)


@pytest.mark.parametrize("since", ["", "x", "1.2.3", "a.b.c.d", "." * 9])
def test_a_cursor_that_nobody_gave_is_answered_with_all(told: Told, since: str) -> None:
    told.start()
    assert told.source.runs(since).is_whole
    assert told.source.news(KEY, since).is_whole


def test_what_is_deleted_goes_and_its_address_may_be_taken_again(told: Told) -> None:
    told.start()
    told.start("other")
    page, listed = Page(told), told.source.runs()
    told.source.act(KEY, "delete")
    changed = told.source.runs(listed.cursor)
    assert (changed.runs, changed.gone) == ([], [KEY])
    with pytest.raises(UnknownRun):
        page.look()
    told.start()
    told.epoch(0)
    again = told.source.runs(listed.cursor)
    assert ([run.key for run in again.runs], again.gone) == ([KEY], [])
    assert (page.look().is_whole, page.epochs) == (True, {0: 2.0})


def test_a_page_that_was_away_for_long_is_told_all_again(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change_log, "_KEPT", 5)
    told.start()
    page, listed = Page(told), told.source.runs()
    for number in range(9):
        told.epoch(number)
    assert page.look().is_whole
    assert len(page.epochs) == 9
    assert [run.epochs_done for run in told.source.runs(listed.cursor).runs] == [9]  # lists forget nothing


def test_lists_tell_arguments_when_they_change_and_each_line_of_text_no_more_than_once_a_minute(told: Told) -> None:
    told.start(trainArgs={"lr0": 0.1})
    listed = told.source.runs()
    told.clock[0] += 1
    told.print(1, "x")
    changed = told.source.runs(listed.cursor)
    assert changed.runs == []
    told.clock[0] += 60
    told.print(2, "y")
    (line,) = told.source.runs(changed.cursor).runs
    assert (line.arguments, line.heard_at) == ({}, told.platform.now())
    told.event("training_started", {"trainArgs": {"lr0": 0.2}})
    (line,) = told.source.runs(changed.cursor).runs
    assert line.arguments == {"lr0": 0.2}


def test_two_pages_are_told_the_same_whichever_looks_first(told: Told) -> None:
    told.start()
    first, second = told.source.runs(), told.source.runs()
    for number in range(3):
        told.epoch(number)
        first = told.source.runs(first.cursor)
        assert [run.epochs_done for run in first.runs] == [number + 1]
    told.start("other")
    assert {run.key: run.epochs_done for run in told.source.runs(second.cursor).runs} == {KEY: 3, "local/demo/other": 0}


def test_a_list_reads_no_more_of_a_training_than_its_last_two_epochs(told: Told) -> None:
    told.start(epochs=50)
    for number in range(40):
        told.epoch(number)
    _execute(told, "UPDATE epochs SET data = 'no JSON' WHERE epoch < 38")
    (line,) = told.source.runs().runs
    assert (line.epochs_done, line.metrics["metrics/mAP50-95(B)"]) == (40, 0.39)


def test_a_list_tells_no_values_of_epochs_that_an_earlier_training_had_beyond_the_total(told: Told) -> None:
    told.start()
    for number in range(4):
        told.epoch(number)
    told.event("training_started", {"epochs": 3})
    (line,) = told.source.runs().runs
    assert (line.epochs_done, line.metrics["metrics/mAP50-95(B)"]) == (3, 0.02)


def test_a_list_tells_the_results_of_a_training_that_has_ended(told: Told) -> None:
    told.start(epochs=1)
    told.epoch(0)
    told.event("training_complete", {"results": {"metrics": {"metrics/mAP50-95(B)": 0.9, "speed": {"x": 1}}}})
    (line,) = told.source.runs().runs
    assert (line.state, line.metrics) == ("completed", {"metrics/mAP50-95(B)": 0.9})


def test_trends_are_sixty_values_of_the_main_metric_from_the_first_to_the_last(told: Told) -> None:
    told.start()
    told.start("empty")
    told.model = told.start("long")
    for number in range(150):
        told.epoch(number)
    found = told.source.trends(["local/demo/long", "local/demo/empty", "no/such/run", "local/demo/long"])
    trend = found["local/demo/long"]
    assert (list(found), trend.metric, len(trend.values)) == (["local/demo/long"], "metrics/mAP50-95(B)", 60)
    assert (trend.values[0], trend.values[-1]) == (0.0, 1.49)


def test_pictures_are_told_and_what_is_none_is_not(told: Told) -> None:
    told.start()
    image = {"form": "image", "mime": "image/png", "data": "aGVsbG8="}
    line = {"form": "plot", "x": [0, 1], "y": {"loss": [1, None], "none": "x"}}
    for name, step, data in (
        ("a", 1, image),
        ("b", 2, line),
        ("c", 3, {**image, "mime": "text/html"}),
        ("d", 3, {**image, "data": "!"}),
        ("e", 3, {**line, "y": {"loss": ["x", None]}}),
    ):
        told.event("media", {"name": name, "step": step, **data})
    told.event("training_complete", {"plots": [{"type": "pr_curve", "x": [0, 1]}, "odd"]})
    found: list[Any] = [(one.name, one.step, one.image or one.plot) for one in told.source.pictures(KEY)]
    assert found == [
        ("pr_curve", None, {"type": "pr_curve", "x": [0, 1]}),
        ("b", 2, {"x": [0, 1], "y": {"loss": [1, None]}}),
        ("a", 1, "data:image/png;base64,aGVsbG8="),
    ]


@pytest.mark.parametrize("odd", ["text", 7, True, [], ["a"], {"a": {"b": 1}}, {}, None, 1e308, HALF_A_PAIR, 2**70])
def test_whatever_a_client_tells_its_training_is_shown_and_hides_no_other(told: Told, odd: Any) -> None:
    told.start()
    parts = ("metrics", "system", "fitness", "nonFinite", "values", "modelInfo", "source", "total_epochs")
    events = [
        ("training_started", {name: odd}) for name in ("trainArgs", "environment", "device", "epochs", "modelInfo")
    ]
    events += [("epoch_end", {"epoch": 1, name: value}) for name in parts for value in (odd, {"a": odd})]
    events += [("media", {"name": "x", "step": 1, "form": form, "x": [odd], "y": {"a": odd}}) for form in (odd, "plot")]
    events += [("console_output", {"chunkId": odd, "content": "a"}), ("console_output", {"chunkId": 1, "content": "b"})]
    events += [("training_complete", {"results": {"metrics": odd, "bestEpoch": odd}})]
    events += [("training_complete", {"plots": [odd, {"type": odd}]}), ("training_failed", {"error": {"message": odd}})]
    page = Page(told)
    for event, data in events:
        with suppress(Invalid):
            told.event(event, data)
        shown = page_json.as_json([page_json.run_list(told.source.runs()), page_json.change(page.look())])
        assert json.loads(shown)[0]["fields"]["key"] == [KEY]
    assert page_json.as_json(page_json.news(told.source.news(KEY)))
    assert told.source.pictures(KEY) is not None
    assert told.source.trends([KEY]) is not None
    assert sum(map(len, told.source.archive(KEY)[1]))


def _execute(told: Told, statement: str) -> None:
    with told.platform.store.write() as rows:
        rows._connection.execute(statement)


@pytest.mark.parametrize(
    ("says", "step"),
    [({"revision": 1}, 11), ({"source": "wandb"}, 11), ({}, None), ({"source": "results.csv"}, None)],
)
def test_a_line_tells_the_last_step_of_a_loop_that_counts_steps(told: Told, says: Any, step: int | None) -> None:
    told.start()
    told.event("epoch_end", {"epoch": 11, "metrics": {"loss": 1.0}, **says})
    assert told.source.runs().runs[0].step == step


@pytest.mark.parametrize(
    ("epochs", "steps", "planned"), [(2, [1, 2], 2), (10, [0, 1, 9], 10), (2, [0, 1000], None)], ids=str
)
def test_a_loop_has_all_its_steps_and_ended_by_itself_whichever_of_them_it_logged(
    told: Told, epochs: int, steps: list[int], planned: int | None
) -> None:
    told.start(epochs=epochs)
    for step in steps:
        told.epoch(step, revision=1)
    told.event("training_complete", {"results": {}})
    [line] = told.source.runs().runs
    assert (line.state, line.epochs_done, line.step) == ("completed", len(steps), steps[-1])
    assert line.epochs_planned == planned
    assert [*told.source.news(KEY).epochs.at] == steps


def test_what_an_epoch_told_and_is_no_number_is_a_gap(told: Told) -> None:
    told.start()
    for number, loss in enumerate((1.0, None, 0.5)):
        told.event("epoch_end", {"epoch": number, "metrics": {"loss": loss}})
    epochs = told.source.news(KEY).epochs
    assert (epochs.values, epochs.gaps) == ({"loss": [1.0, None, 0.5]}, {"loss": [1]})
