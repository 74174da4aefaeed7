"""`uploader export`: a run's epochs for spreadsheets, scripts and TensorBoard."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from support.recordings import Recordings, recordings

import uploader
from uploader.__main__ import main


@pytest.fixture
def journals(tmp_path: Path) -> Iterator[Recordings]:
    with recordings(tmp_path / "journal") as opened:
        opened.whole("train", epochs=3)
        yield opened


def export(journals: Recordings, *arguments: str) -> Result:
    environment = {**os.environ, "UPLOADER_JOURNAL": str(journals.journal.path)}
    return CliRunner().invoke(main, ["export", *arguments], env=environment)


def test_it_prints_what_the_run_has_measured(journals: Recordings) -> None:
    printed = export(journals, "demo/train")
    columns = uploader.open(journals.journal.path).run("demo/train").metrics()
    head, *rows = printed.stdout.splitlines()
    assert printed.exit_code == 0, printed.output
    assert head == ",".join(columns)
    assert [row.split(",")[0] for row in rows] == ["0", "1", "2"]


def test_a_file_is_written_whole_and_replaced_only_if_asked(journals: Recordings, tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    assert export(journals, "-o", str(file)).exit_code == 0
    written = file.read_text("utf-8")
    assert written == export(journals, "-o", "-").stdout
    assert export(journals, "--format", "jsonl", "-o", str(file)).exit_code == 2
    assert file.read_text("utf-8") == written
    assert export(journals, "--format", "jsonl", "-o", str(file), "--force").exit_code == 0
    assert file.read_text("utf-8").startswith('{"epoch": 0')


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nobody"], 2, "nobody"),
        (["--format", "tensorboard"], 2, "needs a folder"),
        (["--format", "tensorboard", "-o", "{taken}"], 2, "name another one"),
        (["-o", "{taken}"], 2, "taken is a folder; name a file"),
        (["-o", "{taken}", "--force"], 2, "taken is a folder; name a file"),
        (["train", "-o", "{taken}/none/t.csv"], 1, "could not be written"),
        (["empty"], 3, "no epoch"),
    ],
)
def test_what_is_in_the_way_is_named(
    journals: Recordings, tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    journals.begin("empty").started()
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "file").touch()
    result = export(journals, *(argument.format(taken=taken) for argument in arguments))
    assert (result.exit_code, message in result.stderr) == (code, True), result.output
    assert [path.name for path in taken.iterdir()] == ["file"]


def test_tensorboard_reads_the_same_numbers(journals: Recordings, tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    folder = tmp_path / "board"
    assert export(journals, "--format", "tensorboard", "-o", str(folder)).exit_code == 0
    board: Any = accumulator.EventAccumulator(str(folder)).Reload()
    columns = uploader.open(journals.journal.path).run().metrics()
    names = [name for name in columns if name not in {"epoch", "recorded_at"}]
    assert board.Tags()["scalars"] == names
    for name in names:
        assert [one.step for one in board.Scalars(name)] == columns["epoch"]
        assert [one.value for one in board.Scalars(name)] == pytest.approx(columns[name])


def test_without_tensorboard_it_says_what_to_install(
    journals: Recordings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto.event_pb2", None)
    result = export(journals, "--format", "tensorboard", "-o", str(tmp_path / "board"))
    assert (result.exit_code, "pip install tensorboard" in result.stderr) == (2, True)
