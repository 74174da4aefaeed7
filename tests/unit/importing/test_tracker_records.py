"""The formats of other trackers, byte by byte: what is whole is read, and each damage is told with its place."""

from __future__ import annotations

import io
import json
import math
import struct
import zlib
from datetime import datetime, timezone
from pathlib import Path

import pytest

from uploader.importing.imported_run import ConsoleText, Problem
from uploader.importing.reader import UnreadableRun
from uploader.importing.readers.collected_steps import CollectedSteps, ConsoleLines
from uploader.importing.readers.event_files import event_files, is_run, parts_of
from uploader.importing.readers.event_records import event_records
from uploader.importing.readers.mlflow_metrics import read_metric
from uploader.importing.readers.moments import moment
from uploader.importing.readers.named_files import NamedFiles, files_below
from uploader.importing.readers.wandb_records import wandb_records
from uploader.importing.readers.wandb_run import WandbRun

BLOCK = 32768
BEGIN = struct.pack("<4sHB", b":W&B", 0xBEE1, 0)


def in_blocks(records: list[bytes]) -> bytes:
    """Write records as LevelDB's log does."""
    content = bytearray(BEGIN)
    for record in records:
        rest, is_first = record, True
        while True:
            room = BLOCK - len(content) % BLOCK
            if room < 7:
                content += bytes(room)
                room = BLOCK
            piece, rest = rest[: room - 7], rest[room - 7 :]
            kind = (1 if not rest else 2) if is_first else (4 if not rest else 3)
            content += struct.pack("<IHB", zlib.crc32(bytes([kind]) + piece), len(piece), kind) + piece
            is_first = False
            if not rest:
                break
    return bytes(content)


def of_wandb(content: bytes) -> tuple[list[bytes], list[tuple[int, str]]]:
    told: list[tuple[int, str]] = []
    found = [body for _, body in wandb_records(io.BytesIO(content), lambda at, why: told.append((at, why)))]
    return found, told


def test_records_of_wandb_are_read_across_blocks() -> None:
    records = [bytes([number]) * length for number, length in enumerate((1, 0, BLOCK - 25, 3, 3 * BLOCK, 40))]
    assert of_wandb(in_blocks(records)) == (records, [])


@pytest.mark.parametrize("cut", [8, 20, BLOCK - 3, BLOCK, BLOCK + 2, 2 * BLOCK + 50])
def test_a_cut_file_of_wandb_gives_what_is_whole_and_says_where_it_ends(cut: int) -> None:
    records = [b"a" * 10, b"b" * (3 * BLOCK)]
    found, told = of_wandb(in_blocks(records)[:cut])
    assert found == records[: 1 if cut >= 24 else 0]
    [(at, why)] = told
    assert at in (7, 24, BLOCK, 2 * BLOCK)
    assert why in ("the file ends in it", "its end is missing")


def test_behind_a_damaged_record_of_wandb_the_next_block_is_read() -> None:
    records = [bytes([number]) * 10_000 for number in range(10)]
    content = bytearray(in_blocks(records))
    content[12_000] ^= 0xFF
    found, told = of_wandb(bytes(content))
    assert found == [records[0], *records[4:]]
    assert told[0] == (7 + 7 + 10_000, "its checksum is wrong")


def test_another_file_is_no_file_of_wandb() -> None:
    with pytest.raises(UnreadableRun):
        of_wandb(b"SQLite format 3")


def checksum(content: bytes) -> int:
    return zlib.crc32(content)


def of_events(content: bytes) -> tuple[list[bytes], list[tuple[int, str]]]:
    told: list[tuple[int, str]] = []
    found = [each for _, each in event_records(io.BytesIO(content), checksum, lambda at, why: told.append((at, why)))]
    return found, told


def event(body: bytes) -> bytes:
    length = struct.pack("<Q", len(body))
    return length + struct.pack("<I", checksum(length)) + body + struct.pack("<I", checksum(body))


def test_events_are_read_up_to_a_torn_one() -> None:
    content = event(b"first") + event(b"second")
    assert of_events(content) == ([b"first", b"second"], [])
    for cut in range(22, len(content)):
        assert of_events(content[:cut]) == ([b"first"], [(21, "the file ends in it")])


def test_an_event_with_wrong_bytes_is_passed_over_and_a_wrong_length_ends_the_file() -> None:
    content = bytearray(event(b"first") + event(b"second"))
    content[13] ^= 1
    assert of_events(bytes(content)) == ([b"second"], [(0, "its checksum is wrong")])
    content[0] ^= 1
    [(at, why)] = of_events(bytes(content))[1]
    assert (at, why) == (0, "the checksum of its length is wrong, nothing behind it can be found")


def test_the_event_files_of_a_folder_are_in_the_order_of_their_times(tmp_path: Path) -> None:
    names = ("events.out.tfevents.10.a.b.7.0", "events.out.tfevents.9.a.b.7.0.v2", "events.out.tfevents.x", "other")
    for name in names:
        (tmp_path / name).touch()
    assert [each.name for each in event_files(tmp_path)] == [names[1], names[0]]


def with_events(folder: Path, process: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"events.out.tfevents.11.a.b.{process}.3").touch()
    return folder


def test_what_the_process_of_a_run_writes_below_it_is_a_part_of_it(tmp_path: Path) -> None:
    run = with_events(tmp_path / "run", 7)
    part, other = with_events(run / "loss_a", 7), with_events(run / "other", 8)
    assert [each for each in (run, part, other) if is_run(each)] == [run, other]
    assert parts_of(run) == [run, part]


def test_what_a_run_writes_while_it_trains_and_checks_is_one_run(tmp_path: Path) -> None:
    run = tmp_path / "run"
    sides = [with_events(run / name, 7) for name in ("train", "validation")]
    assert [each for each in (tmp_path, run, *sides) if is_run(each)] == [run]
    assert parts_of(run) == sides
    apart = [with_events(tmp_path / name, process) for process, name in enumerate(("train", "val"))]
    assert [each for each in (tmp_path, *apart) if is_run(each)] == apart


@pytest.mark.parametrize(
    ("content", "values", "why"),
    [
        (b"1000 0.5 3\n2000 nan 4 data digest\n3000 0.25\n", 3, None),
        (b"1000 0.5 3\n2000 0.2", 1, "the line at byte 11 is torn; 1 values before it were read"),
        (b"1000 0.5 3\n2000 0.25 1", 1, "the line at byte 11 is torn; 1 values before it were read"),
        (b"x\n1000 0.5 3\n", 1, "the line at byte 0 is no value of MLflow's; 0 values before it were read"),
        (b"", 0, "is empty"),
    ],
)
def test_a_metric_of_mlflow_is_read_line_by_line(content: bytes, values: int, why: str | None, tmp_path: Path) -> None:
    (tmp_path / "loss").write_bytes(content)
    problems: list[Problem] = []
    found = list(read_metric(tmp_path / "loss", "metrics/loss", problems))
    assert len(found) == values
    assert problems == ([Problem("metrics/loss", why)] if why else [])
    assert all(value in found for value in [(datetime(1970, 1, 1, 0, 0, 1, tzinfo=timezone.utc), 0.5, 3)] if values)


def test_steps_are_merged_and_what_was_measured_twice_is_said() -> None:
    steps = CollectedSteps()
    late, early = (datetime(2026, 1, 1, hour, tzinfo=timezone.utc) for hour in (2, 1))
    steps.add(1, {"a": 1, "b": 1}, late)
    steps.add(0, {"a": 0}, None)
    steps.add(1, {"b": 2}, early, part=1)
    steps.add(-1, {"a": 1}, early)
    steps.add(7, {"a": 7}, early)
    steps.forget_from(5)
    assert [(step.number, step.values, step.at) for step in steps.steps()] == [
        (0, {"a": 0}, None),
        (1, {"a": 1, "b": 2}, late),
    ]
    assert len(steps.problems("run")) == 2


@pytest.mark.parametrize("number", [None, "3", b"", 2.5, -1])
def test_a_value_without_a_step_is_left_out_and_said(number: object) -> None:
    steps = CollectedSteps()
    steps.add(number, {"a": 1}, None)
    assert steps.steps() == ()
    assert [problem.why for problem in steps.problems("run")] == ["1 value without a step from 0 left out"]


@pytest.mark.parametrize("written", [None, "x", b"", math.nan, math.inf, 1e308, 1 << 62, -1e300, [1]])
def test_what_is_no_time_is_none(written: object) -> None:
    assert moment(written) is None
    assert moment(written, per_second=1000) is None


def test_a_time_is_that_of_its_unit() -> None:
    assert moment(1500, per_second=1000) == datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=timezone.utc)


def test_pieces_of_console_text_become_whole_lines() -> None:
    lines = ConsoleLines()
    for stream, text in (("out", "a"), ("err", "w\n"), ("out", "b\nc\nd"), ("err", "rest")):
        lines.add(stream, text, None)
    assert lines.texts() == tuple(ConsoleText(text) for text in ("w\n", "ab\nc\n", "d\n", "rest\n"))


def test_a_record_cannot_name_a_file_outside_the_folder(tmp_path: Path) -> None:
    (tmp_path / "secret.pt").touch()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "best.pt").touch()
    files = NamedFiles(tmp_path / "run")
    for name in ("../secret.pt", str(tmp_path / "secret.pt"), "best.pt", "gone.png"):
        files.add(name)
    assert [(file.path.name, file.role) for file in files.files()] == [("best.pt", "best")]
    [problem] = files.problems()
    assert problem.what == f"../secret.pt, {tmp_path / 'secret.pt'}, gone.png"


def test_a_link_leads_to_no_file_outside_the_folder(tmp_path: Path) -> None:
    run = tmp_path / "run"
    for folder in (run / "files", tmp_path / "other"):
        folder.mkdir(parents=True)
    for file in (tmp_path / "other" / "secret.pt", run / "best.pt"):
        file.touch()
    (run / "files" / "a.pt").symlink_to("../../other/secret.pt")
    (run / "files" / "b.pt").symlink_to("../best.pt")
    (run / "linked").symlink_to(tmp_path / "other")
    named = NamedFiles(run / "files", run)
    for name in ("a.pt", "b.pt"):
        named.add(name)
    problems: list[Problem] = []
    assert [file.path.name for file in named.files()] == ["b.pt"]
    assert [file.name for file in files_below(run / "files", run, problems)] == ["b.pt"]
    assert files_below(run / "linked", run, problems) == []
    assert [each.what for each in (*named.problems(), *problems)] == ["a.pt", "a.pt", "secret.pt"]


def test_an_image_of_wandb_whose_row_is_torn_has_the_name_and_step_of_its_file(tmp_path: Path) -> None:
    messages = pytest.importorskip("wandb.proto.wandb_internal_pb2")
    names = ("images/a/b_12_0a1b.png", "images/many_3_0a1b.png", "images/mask/a_0_0a1b.mask.png", "table/t_0_0a1b.json")
    for name in names:
        file = tmp_path / "files" / "media" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    run = WandbRun()
    run.begin(tmp_path)
    run.add(messages.Record(run=messages.RunRecord(run_id="one")))
    for name in names:
        files = messages.FilesRecord(files=[messages.FilesItem(path=f"media/{name}")])
        run.add(messages.Record(files=files))
    row = {"_type": "images/separated", "filenames": ["media/images/many_3_0a1b.png"], "captions": ["below"]}
    items = [messages.HistoryItem(key="many", value_json=json.dumps(row))]
    run.add(messages.Record(history=messages.HistoryRecord(item=items, step=messages.HistoryStep(num=3))))
    imported = run.imported(tmp_path)
    found = [(file.shown_as, file.step) for file in imported.files if file.role == "image"]
    assert found == [("many/0", 3), ("a/b", 12)]
    assert [file.path.name for file in imported.files if file.role == "other"] == ["a_0_0a1b.mask.png", "t_0_0a1b.json"]
    assert imported.steps[0].values == {"many/0/caption": "below"}


def test_a_file_that_was_logged_and_saved_is_the_image_that_was_logged(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).touch()
    files = NamedFiles(tmp_path)
    files.add("a.png")
    files.add("a.png", 1, logged_as="seen")
    files.add("a.png", 2, logged_as="seen")
    files.add("b.png")
    assert [(file.shown_as, file.step) for file in files.files()] == [("seen", 1), ("seen", 2), ("b.png", None)]
