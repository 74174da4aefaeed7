"""What a reader returns comes in whole; what it returns more of later is added, and nothing is there twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.recordings import Recordings, recordings
from support.run_folders import BEGAN

from uploader.importing.imported_run import ConsoleText, ImportedRun, RunFile, Step
from uploader.importing.taking_in import Taken, preview, take_in

Imports = Any


@pytest.fixture
def journals(imports: Imports) -> Iterator[Recordings]:
    with recordings(imports.journal, durability="process") as made:
        yield made


def steps(*losses: float) -> list[Step]:
    return [Step(number, {"loss": loss}, BEGAN + timedelta(seconds=number)) for number, loss in enumerate(losses)]


def printed(*lines: str) -> list[ConsoleText]:
    return [ConsoleText(f"{line}\n", BEGAN) for line in lines]


RUN = ImportedRun(
    "tracker",
    ("project", "one"),
    "project",
    "one",
    Path("/folder"),
    config={"optimizer": {"lr": 0.1}},
    steps=steps(1.0, 0.5),
    console=printed("a", "b"),
    summary={"top": 0.9},
)


SECRET = "ul_0123456789abcdef0123456789abcdef01234567"


def taken(journals: Recordings, run: ImportedRun) -> Taken:
    return take_in(journals.journal, run, (SECRET,))


def test_a_step_that_was_added_to_is_told_again_and_others_are_not(imports: Imports, journals: Recordings) -> None:
    first = taken(journals, RUN)
    assert (first.how, first.steps, first.lines) == ("new", 2, 1)
    assert taken(journals, RUN).how == "known"
    more = replace(RUN, steps=steps(1.0, 0.25, 0.125), summary={"top": 0.95})
    second = taken(journals, more)
    assert (second.how, second.steps, second.run.id) == ("grown", 2, first.run.id)
    assert [epoch["metrics"]["loss"] for epoch in imports.events("epoch_end")] == [1.0, 0.5, 0.25, 0.125]
    assert imports.rows("SELECT epoch, value FROM metrics ORDER BY 1") == [(0, 1.0), (1, 0.25), (2, 0.125)]
    assert [each["metrics"] for each in imports.events("summary")] == [{"top": 0.9}, {"top": 0.95}]
    assert imports.events("training_started")[0]["trainArgs"] == {"optimizer.lr": "0.1"}


@pytest.mark.parametrize(
    ("later", "chunks"),
    [(("a", "b", "c"), ["a\nb", "c"]), (("other", "lines", "here"), ["a\nb"]), (("a",), ["a\nb"])],
    ids=["grown", "another", "shorter"],
)
def test_console_text_is_only_added_to(
    imports: Imports, journals: Recordings, later: Sequence[str], chunks: Sequence[str]
) -> None:
    taken(journals, RUN)
    taken(journals, replace(RUN, console=printed(*later)))
    assert [chunk["content"] for chunk in imports.events("console_output")] == chunks


def test_what_no_file_dates_comes_in_all_the_same(imports: Imports, journals: Recordings) -> None:
    undated = replace(RUN, steps=[Step(0, {"loss": 1.0})], console=[ConsoleText("a\n")])
    assert taken(journals, undated).how == "new"
    assert taken(journals, undated).how == "known"
    assert imports.rows("SELECT id FROM events WHERE created_at = ''") == []
    assert imports.rows("SELECT id FROM sessions WHERE started_at = '' OR ended_at = ''") == []


def test_a_run_of_which_nothing_can_be_read_is_no_run(imports: Imports, journals: Recordings, tmp_path: Path) -> None:
    empty = replace(RUN, steps=(), console=(), summary={})
    assert preview(empty, (), tmp_path).how == "empty"
    assert taken(journals, empty).how == "empty"
    assert imports.rows("SELECT * FROM runs") == []
    assert taken(journals, replace(empty, summary={"top": 0.9})).how == "new"
    assert taken(journals, empty).how == "known"


def test_what_a_recorded_program_wrote_beside_its_recording_is_no_second_run(
    imports: Imports, journals: Recordings, tmp_path: Path
) -> None:
    recorded = taken(journals, RUN).run
    beside = replace(RUN, source="tensorboard", beside=recorded.id, is_recorded_in=imports.journal)
    told = taken(journals, beside)
    assert (told.how, told.run) == ("recorded", recorded)
    assert preview(beside, (), tmp_path / "another").how == "elsewhere"
    assert imports.rows("SELECT count(*) FROM runs") == [(1,)]
    lost = replace(beside, beside="00000000-0000-4000-8000-000000000000")
    assert preview(lost, (), tmp_path / "another").how == "new"
    assert taken(journals, lost).how == "new"


def test_files_that_a_run_has_no_place_for_are_named(journals: Recordings, tmp_path: Path) -> None:
    files = [RunFile(tmp_path / "a.png", "image"), RunFile(tmp_path / "notes.txt", "other")]
    (tmp_path / "a.png").write_bytes(b"no image")
    told = taken(journals, replace(RUN, files=files)).problems
    assert told == preview(replace(RUN, files=files), (), tmp_path).problems
    assert [(each.what, each.why, each.is_left_out) for each in told] == [
        ("notes.txt", "not taken in: 1 other file", True),
        ("a.png", "not taken in: an image file is a PNG, a JPEG, a GIF or a WebP", True),
    ]


def test_an_end_that_is_told_later_comes_in(imports: Imports, journals: Recordings) -> None:
    taken(journals, RUN)
    assert taken(journals, replace(RUN, state="failed", error="out of memory")).how == "grown"
    assert imports.events("training_failed") == [{"error": "out of memory", "code": "Failed"}]


@pytest.mark.parametrize(("may_name_owner", "project"), [(False, "workspace-project"), (True, "workspace/project")])
def test_a_slash_names_an_owner_only_where_it_means_one(tmp_path: Path, may_name_owner: bool, project: str) -> None:
    run = replace(RUN, project="workspace/project", may_name_owner=may_name_owner)
    assert preview(run, (), tmp_path).run.project == project


def test_console_text_with_a_secret_is_added_to_as_any_other(imports: Imports, journals: Recordings) -> None:
    taken(journals, replace(RUN, console=printed(f"key {SECRET}")))
    taken(journals, replace(RUN, console=printed(f"key {SECRET}", "next")))
    first, second = (chunk["content"] for chunk in imports.events("console_output"))
    assert SECRET not in first
    assert second == "next"
