"""What is read of a shared journal: the same as of one in a file with the same rows, in values and in their types."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timezone
from pprint import pformat
from typing import Any

import pytest
from support.journals import Bench, bench, later
from support.shared_twin import shared_twin

import journal
from journal.clock import to_text
from journal.kinds import CHECKPOINT, COMPLETE, CONSOLE, DETAIL, EPOCH, FAILED, MEDIA, REGISTRATION, SYSTEM_METRICS
from journal.opening import open_shared
from journal.reading import measured_epochs, recorded_events, run_at_destination
from journal.reading.run_gists import RunsReader
from journal.reading.run_reader import RunReader, recorded_runs
from journal.records import Outcome
from journal.schema import tables

NOW = datetime(2026, 11, 27, tzinfo=timezone.utc)
Reading = Callable[[journal.Journal], Any]


def _epoch(at: Bench, number: int, metrics: dict[str, Any], **more: Any) -> None:
    at.event(EPOCH, {"epoch": number, "metrics": metrics, **more}, str(number))


def _trained(at: Bench) -> None:
    at.event(REGISTRATION, {"epochs": 12, "trainArgs": {"resume": False}}, "1")
    for number in (0, 1, 2, 10, 9, 11, 1):
        _epoch(at, number, {"train/loss": 1 / (number + 1), "metrics/mAP50": 0.5, "val/loss": 2}, fitness=number % 4)
    _epoch(at, 12, {"train/loss": 1 / 12, "metrics/mAP50": 0.625}, system={"cpu": 3})
    at.event(SYSTEM_METRICS, {"cpu": 1.5})
    at.event(CONSOLE, {"chunkId": 1, "content": "one\ntwo", "lineCount": 2, "progress": {"0": "5%"}}, "1")
    at.event(MEDIA, {"form": "plot", "name": "pr", "step": 1, "x": [0.5], "y": {"a": [1.0]}}, "pr/1")
    at.event(DETAIL, {"title": "a title"}, "title")
    at.event(COMPLETE, {"results": {}, "plots": [1, 2]})


def _delivered(at: Bench) -> None:
    replaced, last = at.checkpoint(b"first"), at.checkpoint(b"second!", epoch=1)
    at.plan(*(at.message(stage=2) for _ in range(5)), at.upload(last, stage=2))
    for result, claim in zip(("delivered", "dead", "release", "retry"), at.claim(limit=4), strict=True):
        error = f"it was {result}" if result in {"dead", "retry"} else None
        due = to_text(later(60)) if result == "retry" else None
        at.record(Outcome(claim, result, error=error, next_attempt_at=due))  # type: ignore[arg-type]
    assert replaced != last


def _broken(at: Bench) -> None:
    """Write what other programs may have: no JSON, no object, numbers that JSON has no word for, other types."""
    texts = ["{", "[]", "{}", '{"epoch": "x", "metrics": {}}', '{"epoch": 0, "metrics": 1}', '{"metrics": {"a": NaN}}']
    texts += ['{"epoch": 5, "metrics": {"over": 1e400, "under": -1e-400, "below": -1e400, "a": true}}']
    texts += ['{"epoch": 3, "metrics": {"loss": null}}', '{"epochs": 4, "name": "\\u0000"}', '"text"', ""]
    kinds = (EPOCH, CHECKPOINT, REGISTRATION, COMPLETE, FAILED, CONSOLE, SYSTEM_METRICS)
    every = [(kind, text) for kind in kinds for text in texts if kind != CHECKPOINT or text == "{}"]
    with at.journal.begin() as connection:
        for place, (kind, text) in enumerate(every):
            connection.exec_driver_sql(
                "INSERT INTO events (run_id, session_id, kind, key, payload, created_at) VALUES (?, ?, ?, ?, ?, ?)",
                (at.run.id, at.session_id, kind, f"{place}" if place % 3 else f"x{place}", text, to_text(NOW)),
            )


def _of_two_sessions(at: Bench) -> None:
    _epoch(at, 0, {"train/loss": 2.0}, fitness=0.25)
    _epoch(at, 1, {"train/loss": 1.0}, fitness=0.75)
    resumed = at.writer.start_session(at.run.id)
    at.writer.append(at.run.id, resumed, EPOCH, {"epoch": 1, "metrics": {"train/loss": 0.5}}, "1")
    at.writer.append(at.run.id, resumed, EPOCH, {"epoch": 5, "metrics": {"train/loss": 0.25}}, "5")
    _epoch(at, 1, {"train/loss": 3.0})  # of the older session, though it came in last
    at.writer.append(at.run.id, resumed, FAILED, {"error": "no memory"}, "")
    at.writer.end_session(resumed, "failed")


def _empty(at: Bench) -> None:
    del at


@pytest.fixture(scope="module", params=[_trained, _delivered, _broken, _of_two_sessions, _empty])
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[journal.Journal]]:
    """A journal in a file, and a shared one with the same rows."""
    with bench(tmp_path_factory.mktemp("home") / "journal") as at:
        at.register()
        request.param(at)
        at.writer.start_run(project=None, name="nothing", save_dir="/nowhere")
        with at.journal.begin() as connection:  # their sums are told in seconds, of which clocks know different parts
            connection.exec_driver_sql("UPDATE events SET created_at = substr(created_at, 1, 19) || '.000000Z'")
            connection.exec_driver_sql("UPDATE sessions SET started_at = substr(started_at, 1, 19) || '.000000Z'")
            connection.exec_driver_sql("UPDATE sessions SET ended_at = substr(ended_at, 1, 19) || '.000000Z'")
            connection.exec_driver_sql("UPDATE sessions SET heartbeat_at = substr(heartbeat_at, 1, 19) || '.000000Z'")
        with open_shared(shared_twin(at.journal.path)) as shared:
            yield [at.journal, shared]


def _first(opened: journal.Journal) -> str:
    return recorded_runs(opened.begin)[0].id


def _run(opened: journal.Journal) -> RunReader:
    return RunReader(opened.begin, _first(opened))


def _contents(opened: journal.Journal, **options: Any) -> Any:
    """Return what there is, but how long it has taken until now."""
    found = _run(opened).contents(**options)
    return replace(found, times=replace(found.times, seconds=0.0))


def _gists(opened: journal.Journal) -> Any:
    runs = [run.id for run in recorded_runs(opened.begin)]
    return RunsReader(opened.begin).gists(runs, runs)


def _at_destination(opened: journal.Journal) -> Any:
    with closing(opened.outbox()) as outbox, opened.begin(read_only=True) as connection:
        [target] = outbox.routes.targets(run_ids=[_first(opened)])
        return run_at_destination.run_at_destination(connection, target, NOW)


def _recorded(opened: journal.Journal) -> Any:
    with opened.begin(read_only=True) as connection:
        sessions = recorded_events.recorded_sessions(connection, _first(opened))
        keys = recorded_events.announced_keys(connection, _first(opened))
        return sessions, keys, [list(recorded_events.recorded_events(connection, one)) for one in sessions]


READINGS: dict[str, Reading] = {
    "runs": lambda opened: recorded_runs(opened.begin),
    "overview": lambda opened: opened.overview(),
    "report": lambda opened: opened.report(),
    "left": lambda opened: [opened.left(None), opened.left([_first(opened)])],
    "details": lambda opened: opened.details([run.id for run in recorded_runs(opened.begin)]),
    "arrived": lambda opened: [opened.arrived(run.id) for run in recorded_runs(opened.begin)],
    "missing epochs": lambda opened: opened.missing_epochs(),
    "contents": lambda opened: _contents(opened, epochs=None, lines=100, deliveries=None),
    "a part of the contents": lambda opened: _contents(opened, epochs=3, lines=1, deliveries=2),
    "one report": lambda opened: _run(opened).report(),
    "a run at a destination": _at_destination,
    "backlog": lambda opened: [replace(one, oldest_age_seconds=None) for one in opened.backlog()],
    "live sessions": lambda opened: opened.live_sessions(),
    "times": lambda opened: replace(_run(opened).times(), seconds=0.0),
    "epochs": lambda opened: [_run(opened).epochs(), _run(opened).epochs(3)],
    "checkpoints": lambda opened: _run(opened).checkpoints(),
    "deliveries": lambda opened: [_run(opened).deliveries(), _run(opened).deliveries(2)],
    "growth": lambda opened: [_run(opened).growth(after, 10) for after in (0, 3)],
    "progress": lambda opened: [_run(opened).progress(after) for after in (0, 3)],
    "media": lambda opened: _run(opened).media(),
    "console": lambda opened: [list(_run(opened).console()), _run(opened).console_after(2)],
    "what is recorded, for proofs": _recorded,
    "gists": _gists,
}


@pytest.mark.parametrize("reading", READINGS)
def test_is_the_same_as_of_a_file(both: list[journal.Journal], reading: str) -> None:
    file, shared = (READINGS[reading](opened) for opened in both)
    assert shared == file
    assert _typed(shared) == _typed(file)


def _typed(value: object) -> str:
    """Return a text that tells 1 from True, and a number from one of another type, which compare as equal."""
    return pformat(value)


def test_a_whole_run_is_measured_by_columns_as_it_is_by_rows(
    both: list[journal.Journal], monkeypatch: pytest.MonkeyPatch
) -> None:
    by_columns = [_run(opened).curves() for opened in both]
    monkeypatch.setattr(measured_epochs, "_records", lambda *_: None)
    by_rows = [_run(opened).curves() for opened in both]
    assert _typed(by_columns) == _typed(by_rows)


@pytest.mark.parametrize("view", tables.VIEWS)
def test_the_views_are_there_for_psql(both: list[journal.Journal], view: str) -> None:
    shown = []
    for opened in both:
        with opened.begin(read_only=True) as connection:
            found = connection.exec_driver_sql(f"SELECT * FROM {view}").mappings().all()
            shown.append([dict(row) for row in found])
    assert shown[1] == shown[0]
