"""`uploader.open(journal)`: what a program reads of the runs that were recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.journals import bench, later
from support.postgres_server import empty_journal
from support.recordings import Recordings, recordings
from support.shared_twin import shared_twin

import journal
import uploader
from journal.clock import to_text
from journal.errors import CorruptJournal, NewerJournal, NoJournal, UnknownRow
from journal.records import Outcome


@pytest.fixture
def journals(tmp_path: Path) -> Iterator[Recordings]:
    with recordings(tmp_path / "journal") as opened:
        yield opened


@pytest.fixture(autouse=True, params=["file", "shared"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have the journal read where it is, or a shared one with the same rows."""
    if request.param == "file":
        yield
        return
    with empty_journal() as url:
        monkeypatch.setattr(f"{__name__}.opened", lambda folder: uploader.open(shared_twin(folder, url)))
        yield


def opened(folder: Path) -> uploader.RecordedJournal:
    return uploader.open(folder)


def run(journals: Recordings, name: str = "latest") -> uploader.RecordedRun:
    return opened(journals.journal.path).run(name)


def epoch(training: Any, number: int, metrics: dict[str, Any], **more: Any) -> None:
    training.event("epoch_end", {"epoch": number, "metrics": metrics, **more}, str(number))


def test_metrics_are_columns_in_the_order_of_the_epochs(journals: Recordings) -> None:
    training = journals.begin()
    for number in (10, 9, 0):  # later ones may come from a fallback file
        epoch(training, number, {"train/loss": 1 / (number + 1)}, fitness=0.5)
    epoch(training, 11, {"train/loss": float("nan"), "val/loss": 2, "metrics/top1": 0.75})
    table = run(journals).metrics()
    assert {len(column) for column in table.values()} == {4}
    assert table["epoch"] == [0, 9, 10, 11]
    assert table["train/loss"] == [1.0, 0.1, 1 / 11, None]
    assert table["metrics/top1"] == [None, None, None, 0.75]
    assert table["fitness"] == [0.5, 0.5, 0.5, None]
    assert list(table)[:3] == ["epoch", "recorded_at", "fitness"]


def test_of_an_epoch_that_was_trained_twice_the_later_one_counts(journals: Recordings) -> None:
    first = journals.begin()
    epoch(first, 0, {"train/loss": 1.0})
    first.end("exited")
    again = journals.begin(run_id=first.run.id)
    epoch(again, 0, {"train/loss": 2.0})
    epoch(first, 0, {"train/loss": 3.0})  # of the older session, though it came in last
    assert run(journals).metrics()["train/loss"] == [2.0]


VALIDATED = {"train/loss": 1.0, "val/loss": 1.0, "metrics/map": 0.5}
EVALUATED = {"train/loss": 1.0, "metrics/map": 0.6}


@pytest.mark.parametrize(
    ("last", "epochs"), [([VALIDATED, EVALUATED], 2), ([EVALUATED, EVALUATED], 2), ([{"train/loss": 1.0}], 2)]
)
def test_the_final_evaluation_is_no_epoch(journals: Recordings, last: list[dict[str, Any]], epochs: int) -> None:
    """It is known by having no validation losses, or, where no epoch has any, by the losses of the last one."""
    training = journals.begin()
    for number, metrics in enumerate([{**last[0], "train/loss": 2.0}, *last]):
        epoch(training, number, metrics)
    found = run(journals)
    assert found.metrics()["epoch"] == list(range(epochs)) == list(range(found.status().epochs))
    assert len(found.metrics(evaluation=True)["epoch"]) == len(last) + 1


def test_a_metric_that_is_called_like_a_column_of_ours_does_not_replace_it(journals: Recordings) -> None:
    training = journals.begin()
    epoch(training, 4, {"epoch": "x", "recorded_at": 3, "loss": 1.0})
    table = run(journals).metrics()
    assert (table["epoch"], table["loss"]) == ([4], [1.0])
    assert isinstance(table["recorded_at"][0], str)


@pytest.mark.parametrize("payload", ["{", "[]", "{}", '{"epoch": "x", "metrics": {}}', '{"epoch": 0, "metrics": 1}'])
def test_an_epoch_that_cannot_be_read_harms_no_other(journals: Recordings, payload: str) -> None:
    training = journals.begin()
    epoch(training, 0, {"loss": 1.0})
    with journals.journal.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO events (run_id, session_id, kind, key, payload, created_at)"
            " VALUES (?, ?, 'epoch_end', '1', ?, '')",
            (training.run.id, training.session_id, payload),
        )
    assert run(journals).metrics()["loss"] == [1.0]


@pytest.mark.parametrize("engine", ["file"], indirect=True)
def test_numbers_that_json_has_no_word_for_are_none(journals: Recordings) -> None:
    training = journals.begin()
    epoch(training, 0, {"loss": 1.0})
    with journals.journal.begin() as connection:
        payload = '{"epoch": 0, "metrics": {"loss": 1e999, "other": NaN, "text": "x"}, "fitness": -Infinity}'
        connection.exec_driver_sql("UPDATE events SET payload = ? WHERE kind = 'epoch_end'", (payload,))
    table = run(journals).metrics()
    assert (table["loss"], table["other"], table["text"]) == ([None], [None], ["x"])
    assert "fitness" not in table


def test_a_run_without_epochs_is_an_empty_table(journals: Recordings) -> None:
    journals.begin()
    assert run(journals).metrics() == {"epoch": [], "recorded_at": []}


def test_the_console_is_all_lines_and_what_was_left_of_bars(journals: Recordings) -> None:
    training = journals.begin()
    training.console(1, "one\ntwo")
    training.console(2, " 10%\r 50%\r100%\r")
    training.event("console_output", {"chunkId": 3, "content": "", "lineCount": 0, "progress": {"0": "5%"}}, "3")
    found = run(journals)
    assert found.console() == "one\ntwo\n100%"
    assert [found.console(tail=lines) for lines in (0, 1, 2, 9)] == ["", "100%", "two\n100%", "one\ntwo\n100%"]


def test_checkpoints_say_whether_they_are_kept_and_where_they_arrived(tmp_path: Path) -> None:
    with bench(tmp_path / "journal") as one:
        one.register()
        replaced, last = one.checkpoint(b"first"), one.checkpoint(b"second!", epoch=1)
        final = one.checkpoint(b"third", role="final", epoch=2)
        one.plan(one.upload(final, "final"))
        one.record(*(Outcome(claim, "delivered") for claim in one.claim("upload")))
        found = opened(one.journal.path).run().checkpoints()
    facts = [(each.role, each.epoch, each.size, each.sha256, each.is_kept, each.deliveries) for each in found]
    assert facts == [
        ("last", 0, 5, replaced, False, {}),
        ("last", 1, 7, last, True, {}),
        ("final", 2, 5, final, True, {"https://platform.example": "delivered"}),
    ]


def test_deliveries_that_need_a_person_come_first(tmp_path: Path) -> None:
    with bench(tmp_path / "journal") as one:
        one.register()
        one.plan(*(one.message(stage=2) for _ in range(5)))
        results = ("delivered", "dead", "release", "retry")
        for result, claim in zip(results, one.claim(limit=4), strict=True):
            error = f"it was {result}" if result in {"dead", "retry"} else None
            due = to_text(later(60)) if result == "retry" else None
            one.record(Outcome(claim, result, error=error, next_attempt_at=due))  # type: ignore[arg-type]
        found = opened(one.journal.path).run().deliveries()
        assert len(opened(one.journal.path).run().deliveries(most=2)) == 2
    assert [each.state for each in found[:2]] == ["dead", "pending"]
    assert [each.reason for each in found[:2]] == ["it was dead", "it was retry"]
    assert [(failed.number, failed.reason) for failed in found[1].failures] == [(1, "it was retry")]
    assert [each.state for each in found[-2:]] == ["delivered", "delivered"]
    assert found[0].next_attempt_at is None
    assert len({each.chunk_id for each in found}) == len(found)


@pytest.mark.parametrize("engine", ["file"], indirect=True)
def test_the_next_call_tells_what_was_written_meanwhile(journals: Recordings) -> None:
    training = journals.begin()
    found = run(journals)
    epoch(training, 0, {"loss": 1.0})
    assert found.metrics()["loss"] == [1.0]
    assert found.status().state == "running"
    assert found.times().ended_at is None
    training.end("complete")
    assert found.status().state == "finished"
    assert found.times().ended_at is not None


@pytest.mark.parametrize("engine", ["file"], indirect=True)
def test_a_run_that_has_finished_goes_on_as_long_as_its_process_may_print(journals: Recordings) -> None:
    training = journals.begin()
    training.complete()
    found = run(journals)
    assert (found.times().state, found.console_after(0)[1]) == ("finished", True)
    training.end()
    assert (found.times().is_live, found.console_after(0)[1]) == (False, False)


def test_runs_are_chosen_as_commands_choose_them(journals: Recordings) -> None:
    first = journals.begin("first")
    journals.begin("second")
    seen = opened(journals.journal.path)
    names = (first.run.id, first.run.id[:8], "first", "demo/first", first.run.save_dir)
    assert {seen.run(name).id for name in names} == {first.run.id}
    assert [each.name for each in seen.runs()] == ["demo/first", "demo/second"]
    assert seen.run().name == "demo/second"
    journals.begin("second")
    seen = opened(journals.journal.path)
    for name, why in (("none", "fits no run"), ("demo/", "fits no run"), ("second", "fits 2 runs")):
        with pytest.raises(UnknownRow, match=why):
            seen.run(name)


@pytest.mark.parametrize("engine", ["file"], indirect=True)
def test_where_there_is_no_journal_none_is_made(tmp_path: Path) -> None:
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "uploader-mirror.json").write_text(json.dumps({}))
    with pytest.raises(NoJournal, match=r"name the folder that holds `journal\.db`"):
        uploader.open(tmp_path / "none")
    with pytest.raises(NoJournal, match=r"it is a mirror: `drain` delivers what it has"):
        uploader.open(tmp_path / "mirror")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("engine", ["file"], indirect=True)
def test_a_journal_that_cannot_be_read_is_left_as_it_is(tmp_path: Path) -> None:
    with bench(tmp_path / "newer") as one:
        one.journal.fold_wal()
    with journal.open(tmp_path / "newer") as opened, opened.begin() as connection:
        connection.exec_driver_sql("PRAGMA user_version = 999")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "journal.db").write_bytes(b"no database" * 100)
    for name, error in (("newer", NewerJournal), ("damaged", CorruptJournal)):
        before = (tmp_path / name / "journal.db").read_bytes()
        with pytest.raises(error):
            uploader.open(tmp_path / name).runs()
        assert (tmp_path / name / "journal.db").read_bytes() == before
