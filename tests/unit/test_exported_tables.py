"""The formats in which a run's epochs are exported."""

from __future__ import annotations

import csv
import io
import json

from uploader.exporting.table_text import as_csv, as_json_lines, as_results

COLUMNS = {
    "epoch": [0, 1],
    "recorded_at": ["2026-01-01T00:00:00.000000Z", "2026-01-01T00:00:01.000000Z"],
    "fitness": [0.1, None],
    "train/box_loss": [1.23456789012, 2.0],
    'odd, "name"': ["a,b\n", None],
    "lr": [0.01, 1e-7],
}


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


def test_csv_has_every_digit_and_nothing_for_nothing() -> None:
    head, first, second = read(as_csv(COLUMNS))
    assert head == list(COLUMNS)
    assert first == ["0", COLUMNS["recorded_at"][0], "0.1", "1.23456789012", "a,b\n", "0.01"]
    assert second == ["1", COLUMNS["recorded_at"][1], "", "2.0", "", "1e-07"]


def test_lines_of_json_leave_out_what_was_not_told() -> None:
    first, second = map(json.loads, as_json_lines(COLUMNS).splitlines())
    assert first == {name: values[0] for name, values in COLUMNS.items()}
    assert list(second) == ["epoch", "recorded_at", "train/box_loss", "lr"]


def test_the_trainers_table_counts_from_1_with_six_digits() -> None:
    head, first, second = read(as_results(COLUMNS))
    assert head == ["epoch", "train/box_loss", 'odd, "name"', "lr/pg0"]
    assert first == ["1", "1.23457", "a,b\n", "0.01"]
    assert second == ["2", "2", "", "1e-07"]
