"""What the dashboard's scripts are given: JSON, text, files, and what is new."""

from __future__ import annotations

import json

import pytest
import requests
from support.shown_runs import ShownRuns, shown

from uploader.dashboard.event_stream import look
from uploader.dashboard.run_source import SourceUnavailable

KEY = "local/demo/run-2"


@pytest.fixture
def runs():
    return ShownRuns(runs=3, epochs=5)


@pytest.fixture
def address(runs):
    with shown(runs) as found:
        yield found


def test_a_list_has_a_column_for_each_field_and_names_once_what_all_runs_share(address):
    told = requests.get(f"{address}/data/runs", timeout=60).json()
    assert told["fields"]["key"] == ["local/demo/run-2", "local/demo/run-1", "local/demo/run-0"]
    assert len(told["metrics"]["metrics/mAP50(B)"]) == 3
    assert told["arguments"] == {"lr0": [0.03, 0.02, 0.01]}
    assert told["constants"] == {"model": "yolo11n.yaml", "batch": 16, "imgsz": 640}


def test_a_run_tells_all_of_its_epochs(address):
    told = requests.get(f"{address}/data/run", {"key": KEY}, timeout=60).json()
    assert told["epochs"]["at"] == [0, 1, 2, 3, 4]
    assert told["console"].startswith("epoch 1:")


@pytest.mark.parametrize("path", ["/data/run", "/data/pictures", "/data/console", "/data/archive", "/data/checkpoint"])
def test_what_is_not_there_is_answered_with_404(address, path):
    answer = requests.get(address + path, {"key": "no/such/run"}, timeout=60)
    assert (answer.status_code, answer.json()) == (404, {"error": "no run no/such/run"})


def test_what_cannot_be_done_is_answered_with_its_reason(address, runs):
    asked = {"key": KEY, "action": "rename", "value": ""}
    answer = requests.post(f"{address}/data/act", json=asked, timeout=60)
    assert (answer.status_code, answer.json()) == (409, {"error": "A name has at least one letter"})
    assert requests.post(f"{address}/data/act", json={**asked, "value": "b"}, timeout=60).status_code == 200
    assert runs.done == [(KEY, "rename", "b")]


def test_an_epoch_is_streamed_once_and_in_less_than_two_kilobytes(address, runs):
    cursor = requests.get(f"{address}/data/run", {"key": KEY}, timeout=60).json()["cursor"]
    with requests.get(f"{address}/data/events", {"key": KEY, "since": cursor}, stream=True, timeout=60) as stream:
        lines = stream.iter_lines(chunk_size=1)
        runs.train(KEY)
        first = _next_event(lines)
        runs.train(KEY)
        second = _next_event(lines)
    assert [each["epochs"]["at"] for each in (first[1], second[1])] == [[5], [6]]
    assert len(json.dumps(first[1])) < 2000
    with requests.get(f"{address}/data/events", headers={"Last-Event-ID": first[0]}, stream=True, timeout=60) as stream:
        assert _next_event(stream.iter_lines(chunk_size=1))[1]["epochs"]["at"] == [6]


@pytest.mark.parametrize("curves", [{}, {"curves": 1}])
def test_an_event_names_only_what_the_page_was_told_and_a_page_that_comes_back_is_told_the_rest(address, runs, curves):
    keys = [f"local/demo/run-{number}" for number in range(2)]
    asked = {"key": keys, "since": [runs.news(key).cursor for key in keys], **curves}
    with requests.get(f"{address}/data/events", asked, stream=True, timeout=60) as stream:
        runs.train(keys[1])
        known, told = _next_event(stream.iter_lines(chunk_size=1))
    assert (told["key"], [*json.loads(known)]) == (keys[1], keys[1:])
    runs.train(keys[0])
    back = {"Last-Event-ID": known}
    with requests.get(f"{address}/data/events", asked, headers=back, stream=True, timeout=60) as stream:
        later, told = _next_event(stream.iter_lines(chunk_size=1))
    assert (told["key"], {*json.loads(later)}) == (keys[0], {*keys})


def test_a_source_that_has_begun_anew_is_told_as_a_whole_and_in_place_of_what_was_there(address, runs):
    told = requests.get(f"{address}/data/run", {"key": KEY}, timeout=60).json()
    listed = requests.get(f"{address}/data/runs", timeout=60).json()
    runs.begin_anew()
    asked = {"key": KEY, "since": told["cursor"], "runs": listed["cursor"]}
    with requests.get(f"{address}/data/events", asked, stream=True, timeout=60) as stream:
        lines = stream.iter_lines(chunk_size=1)
        first, second = (_next_event(lines)[1] for _ in range(2))
    assert (first["is_whole"], len(first["runs"])) == (True, 3)
    assert (second["is_whole"], second["epochs"]["at"], second["facts"]["best"]) == (True, [0, 1, 2, 3, 4], 2)


def test_an_open_page_is_told_only_what_it_has_not(address, runs):
    told = requests.get(f"{address}/data/run", {"key": KEY}, timeout=60).json()
    listed = requests.get(f"{address}/data/runs", timeout=60).json()
    asked = {"key": KEY, "since": told["cursor"], "runs": listed["cursor"]}
    with requests.get(f"{address}/data/events", asked, stream=True, timeout=60) as stream:
        lines = stream.iter_lines(chunk_size=1)
        runs.train(KEY)
        first, second = (_next_event(lines)[1] for _ in range(2))
    assert [run["epochs_done"] for run in first["runs"]] == [6]
    assert "facts" not in second
    assert not {"arguments", "metrics"} & set(second["line"])
    assert second["progress"]["facts"] == [{"label": "Took", "value": 60_000, "form": "milliseconds"}]


@pytest.mark.parametrize("path", ["runs", "trends", "run", "curves", "pictures", "console", "archive", "checkpoint"])
def test_while_nothing_can_be_read_each_answer_is_503_and_says_why(address, runs, path):
    runs.trouble = "the journal is damaged: run doctor --repair"
    answer = requests.get(f"{address}/data/{path}", {"key": KEY}, timeout=60)
    assert (answer.status_code, answer.json()) == (503, {"error": "the journal is damaged: run doctor --repair"})
    assert requests.get(f"{address}/runs/{KEY}", timeout=60).status_code == 200  # its script is told


def test_a_stream_survives_such_a_time_and_tells_of_it_once(address, runs):
    told = requests.get(f"{address}/data/run", {"key": KEY}, timeout=60).json()
    asked = {
        "key": KEY,
        "since": told["cursor"],
        "runs": requests.get(f"{address}/data/runs", timeout=60).json()["cursor"],
    }
    with requests.get(f"{address}/data/events", asked, stream=True, timeout=60) as stream:
        lines = stream.iter_lines(chunk_size=1)
        runs.trouble = "there is no journal"
        begun = _next_event(lines)[1]
        runs.train(KEY)
        runs.trouble = ""
        over, listed, news = (_next_event(lines)[1] for _ in range(3))
    assert (begun, over) == ({"error": "there is no journal"}, {"error": ""})
    assert ([run["epochs_done"] for run in listed["runs"]], news["epochs"]["at"]) == ([6], [5])


def test_a_look_that_fails_half_way_passes_nothing_over(runs):
    class HalfThere(ShownRuns):
        def news(self, key, since=None):
            if key == KEY and self.trouble:
                raise SourceUnavailable(self.trouble)
            return super().news(key, since)

        def _check(self):
            pass

    half, other = HalfThere(runs=3, epochs=5), "local/demo/run-1"
    cursors = {key: half.news(key).cursor for key in (other, KEY)}
    half.train(other)
    half.trouble = "it is busy"
    with pytest.raises(SourceUnavailable):
        look(half, cursors)
    half.trouble = ""
    assert [(name, told["key"]) for name, told in look(half, cursors)] == [("run", other)]


def _next_event(lines):
    """Return the id and the value of the next event."""
    told = {}
    for line in lines:
        name, _, value = line.decode().partition(": ")
        told[name] = value
        if not line and "data" in told:
            return told["id"], json.loads(told["data"])
        if not line:
            told = {}
    raise AssertionError("the stream has ended")
