"""Reading the trainer's own record of its epochs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from journal.clock import utc_now
from journal.sessions.lost_epochs import TrainedEpoch
from uploader.run_folder.results_file import epochs_of_columns, parse_results, read_results, read_results_since

HEAD = "epoch,time,train/box_loss,metrics/mAP50-95(B),val/box_loss,lr/pg0,lr/pg1\n"


def row(epoch: int, loss: float = 0.5) -> str:
    return f"{epoch},{10 * epoch},{loss},0.25,0.75,0.01,0.02\n"


def numbers(content: str) -> list[int]:
    return [epoch.number for epoch in parse_results(content)]


def test_a_row_becomes_what_the_end_of_its_epoch_reports() -> None:
    metrics = {"train/box_loss": 0.5, "metrics/mAP50-95(B)": 0.25, "val/box_loss": 0.75, "lr": 0.01}
    assert parse_results(HEAD + row(1)) == [TrainedEpoch(0, metrics, "results.csv", seconds=10.0)]


def test_columns_are_padded_in_some_versions() -> None:
    padded = "                  epoch,         train/box_loss,                 lr/pg0\n    1,    0.5,    0.01\n"
    assert parse_results(padded) == [TrainedEpoch(0, {"train/box_loss": 0.5, "lr": 0.01}, "results.csv")]


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ([row(1), row(2), row(2), row(3)], [0, 1, 1, 2]),  # trained again
        ([row(4), row(5)], [3, 4]),  # the earlier ones are in another file
        ([row(1), row(2).rstrip("\n")], [0]),  # the number at its end may be torn
        ([row(1), row(2)[:12]], [0]),
        ([row(1), row(2)[:12], row(2), row(3)], [0, 2]),  # two rows that read as one
        ([row(1), row(2), "3", row(3), row(4)], [0, 1, 3]),  # 33, of which all but the number is right
        ([row(1), "two,20,0.5,0.25,0.75,0.01,0.02\n", row(3)], [0, 2]),
        ([row(1), "1.5,20,0.5,0.25,0.75,0.01,0.02\n", row(0), row(-1), "nan" + row(2)[1:]], [0]),
        ([row(1), "\n", row(2)], [0, 1]),
    ],
)
def test_rows_that_cannot_be_believed_are_left_out(lines: list[str], found: list[int]) -> None:
    assert numbers(HEAD + "".join(lines)) == found


@pytest.mark.parametrize("content", ["", "\n", HEAD, "name,age\n1,2\n", "epoch,age\n1,2\n", "\0" * 100, "epoch"])
def test_another_file_has_no_epochs(content: str) -> None:
    assert parse_results(content) == []


def test_a_folder_without_a_record_has_none(tmp_path: Path) -> None:
    assert read_results(tmp_path) == read_results(tmp_path / "gone") == []
    (tmp_path / "results.csv").mkdir()
    with pytest.raises(OSError, match="directory"):
        read_results(tmp_path)
    assert not read_results_since(tmp_path, "").epochs


def test_a_record_from_before_the_run_began_may_be_an_earlier_trainings(tmp_path: Path) -> None:
    (tmp_path / "results.csv").write_text(HEAD + row(1))
    os.utime(tmp_path / "results.csv", (0, 1_000_000_000))  # 2001-09-09T01:46:40Z
    begun_at = ["2001-09-09T01:47:00.000Z", "2001-09-09T01:46:00.000Z", "", "9001-01-01T00:00:00.000Z"]
    records = [read_results_since(tmp_path, each) for each in begun_at]
    assert [(len(record.epochs), record.is_doubtful) for record in records] == [
        (1, True),
        (1, False),
        (1, False),
        (1, False),  # the clock is known to have been ahead
    ]


def test_epochs_have_the_times_of_their_file(tmp_path: Path) -> None:
    (tmp_path / "results.csv").write_text(HEAD + row(1) + row(2))
    os.utime(tmp_path / "results.csv", (0, 1_000_000_000))
    assert [epoch.at.timestamp() for epoch in read_results_since(tmp_path, "").epochs if epoch.at] == [
        999_999_990,
        1_000_000_000,
    ]
    os.utime(tmp_path / "results.csv", (0, 9_000_000_000))  # a clock that was ahead
    *_, last = read_results_since(tmp_path, "").epochs
    assert last.at is not None
    assert last.at <= utc_now()


def test_a_checkpoint_holds_the_same_table_by_columns() -> None:
    columns = {" epoch": [1, 2, 2], "time": [1.5, 2.5, 3.5], "train/box_loss": [0.5, 0.25, 0.125], "lr/pg0": [1, 1, 1]}
    found = [(epoch.number, epoch.metrics, epoch.source) for epoch in epochs_of_columns(columns, "last.pt")]
    losses = [(0, 0.5), (1, 0.25), (1, 0.125)]
    assert found == [(number, {"train/box_loss": loss, "lr": 1.0}, "last.pt") for number, loss in losses]


@pytest.mark.parametrize(
    "columns",
    [
        None,
        [],
        {},
        {"epoch": 1},
        {"epoch": [1], "age": [2]},
        {"epoch": ["a"], "train/x": [1]},
        {"epoch": [None], "train/x": [1]},
    ],
    ids=str,
)
def test_a_checkpoint_without_a_table_has_no_epochs(columns: object) -> None:
    assert epochs_of_columns(columns, "last.pt") == []
