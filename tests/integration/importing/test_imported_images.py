"""Images that a folder has become events as `log_image` makes them: once each, as far as there is room."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.platform_api import Api
from support.recordings import KEY, Recordings, recordings
from support.run_folders import BEGAN, age, contents, recorded, run_folder

from journal.clock import to_text
from uploader.importing import writing
from uploader.importing.imported_images import Room
from uploader.importing.imported_run import ImportedRun, MachineSample, RunFile, Step
from uploader.importing.taking_in import take_in
from uploader.live.images import LARGEST_IMAGE, image_content
from uploader.server.running import running

Imports = Any

PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
PICTURES = {
    "results.png": PNG + b"results",
    "confusion_matrix.png": PNG + b"matrix",
    "train_batch0.jpg": JPEG + b"batch",
}


@pytest.fixture
def journals(imports: Imports) -> Iterator[Recordings]:
    with recordings(imports.journal, durability="process") as made:
        yield made


def with_pictures(folder: Path, **more: bytes) -> Path:
    for name, content in {**PICTURES, **more}.items():
        (folder / name).write_bytes(content)
    age(folder)
    return folder


def shown(imports: Imports) -> dict[str, int]:
    """Return the names of the images with their steps."""
    found = [(each["name"], each["step"]) for each in imports.events("media")]
    assert len({*found}) == len(found)
    return dict(found)


def test_the_pictures_of_a_training_are_what_log_image_would_have_made_of_them(
    imports: Imports, tmp_path: Path
) -> None:
    folder = with_pictures(run_folder(tmp_path / "run"))
    before = contents(folder)
    [told] = imports(folder)
    assert (told["images"], told["problems"]) == (3, [])
    assert contents(folder) == before
    for event in imports.events("media"):
        file = folder / event["name"]
        assert event == {"name": file.name, "step": 2, **image_content(file)}
    assert sorted(shown(imports)) == sorted(PICTURES)
    assert imports.rows("SELECT DISTINCT key FROM events WHERE key LIKE '%results.png'") == [("2 results.png",)]
    assert imports.rows("SELECT DISTINCT created_at FROM events WHERE kind = 'media'") == [
        (to_text(BEGAN + timedelta(minutes=3)),)
    ]
    there = imports.everything()
    assert [told["how"] for told in imports(folder)] == ["known"]
    assert imports.everything() == there


def test_what_is_no_image_or_too_large_is_named_and_counts_as_left_out(imports: Imports, tmp_path: Path) -> None:
    folder = with_pictures(run_folder(tmp_path / "run"), **{"a.png": b"text", "b.jpg": b"", "old.bmp": b"BM"})
    with (folder / "large.png").open("wb") as large:
        large.write(PNG)
        large.truncate(LARGEST_IMAGE + 1)
    (tmp_path / "secret.png").write_bytes(PNG)
    (folder / "linked.png").symlink_to(tmp_path / "secret.png")
    os.mkfifo(folder / "pipe.png")
    for _ in range(2):
        [told] = imports(folder, code=4)  # for the link alone
        named = {each["what"]: (each["why"], each["left_out"]) for each in told["problems"]}
        assert named["a.png, b.jpg, old.bmp"] == (
            "not taken in: an image file is a PNG, a JPEG, a GIF or a WebP",
            True,
        )
        assert "has at most 8 MiB" in named["large.png"][0]
        assert named["large.png"][1]
        assert "leads out of the run's folder" in named["linked.png"][0]
        assert len(named) == 3
    assert sorted(shown(imports)) == sorted(PICTURES)


def test_of_a_training_that_went_on_only_changed_pictures_come_in_again(imports: Imports, tmp_path: Path) -> None:
    folder = with_pictures(run_folder(tmp_path / "run", epochs=2, total=4))
    [told] = imports(folder)
    assert set(shown(imports).values()) == {1}
    run_folder(folder, epochs=4)
    with_pictures(folder, **{"results.png": PNG + b"later"})
    [told] = imports(folder)
    assert (told["how"], told["images"]) == ("grown", 1)
    assert [(each["name"], each["step"]) for each in imports.events("media")[3:]] == [("results.png", 3)]
    assert [told["how"] for told in imports(folder)] == ["known"]


@pytest.mark.parametrize("is_whole", [True, False], ids=["whole", "in part"])
def test_a_run_that_was_recorded_gets_its_pictures_once_and_stays_as_it_ended(
    imports: Imports, journals: Recordings, tmp_path: Path, is_whole: bool
) -> None:
    folder = with_pictures(run_folder(tmp_path / "run"))
    training = recorded(journals, folder, epochs=3 if is_whole else 2)
    if is_whole:
        training.checkpoint(b"final", epoch=2)
        training.complete()
    training.end("finished" if is_whole else "abandoned")
    [told] = imports(folder)
    assert (told["how"], told["run"], told["images"]) == ("grown", training.run.id, 3)
    assert told["steps"] == (0 if is_whole else 1)
    assert sorted(shown(imports)) == sorted(PICTURES)
    assert len(imports.events("training_started")) == (1 if is_whole else 2)
    assert len(imports.events("training_complete")) == 1
    assert [report.state for report in journals.journal.report()] == ["finished"]
    there = imports.everything()
    assert [told["how"] for told in imports(folder)] == ["known"]
    assert imports.everything() == there


@pytest.mark.parametrize("is_recorded", [True, False])
def test_a_picture_that_is_made_again_and_again_comes_in_each_time(
    imports: Imports, journals: Recordings, tmp_path: Path, is_recorded: bool
) -> None:
    folder = run_folder(tmp_path / "run")
    if is_recorded:
        recorded(journals, folder, epochs=3).end("abandoned")
    for content in (b"one", b"two", b"one", b"two"):
        (folder / "results.png").write_bytes(PNG + content)
        [told] = imports(folder)
        assert told["images"] == 1
        assert [told["how"] for told in imports(folder)] == ["known"]
        assert imports.events("media")[-1]["data"] == image_content(PNG + content)["data"]


def test_pictures_without_room_are_named_and_the_next_import_takes_them_in(
    imports: Imports, journals: Recordings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = with_pictures(run_folder(tmp_path / "run"))
    monkeypatch.setattr(writing, "_room", lambda _: Room(10**9, 40))
    [told] = imports(folder, code=4)
    assert told["images"] == 2
    assert [each["what"] for each in told["problems"]] == ["train_batch0.jpg"]
    assert "would exceed its limit of 1.0 GB (UPLOADER_MAX_SIZE); it was left out" in told["problems"][0]["why"]
    monkeypatch.undo()
    monkeypatch.setattr(writing, "_CHARACTERS_AT_ONCE", 1)  # each in a transaction of its own
    [told] = imports(folder)
    assert (told["how"], told["images"], sorted(shown(imports))) == ("grown", 1, sorted(PICTURES))


def test_room_is_what_the_journal_may_grow_by(journals: Recordings, monkeypatch: pytest.MonkeyPatch) -> None:
    journals.whole()
    monkeypatch.setattr(writing, "default_max_size", lambda: 10**9)
    room = writing._room(journals.writer)
    assert (room.limit, room.left) == (10**9, 10**9 - journals.writer.size().total)


def test_a_picture_that_is_gone_when_it_is_to_be_written_costs_nothing_else(
    imports: Imports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = with_pictures(run_folder(tmp_path / "run"))
    written = writing.image_events

    def gone(*arguments: Any) -> Any:
        (folder / "results.png").unlink()
        return written(*arguments)

    monkeypatch.setattr(writing, "image_events", gone)
    [told] = imports(folder, code=4)
    assert (told["images"], told["checkpoints"]) == (2, 1)
    assert "results.png" in [each["what"] for each in told["problems"]]


RUN = ImportedRun(
    "tracker",
    ("one",),
    "demo",
    "one",
    Path("/folder"),
    steps=[Step(number, {"loss": 1.0}, BEGAN + timedelta(seconds=number)) for number in range(3)],
    state="complete",
)


def test_images_of_trackers_have_their_names_and_steps_and_of_one_name_in_one_step_the_last_counts(
    imports: Imports, journals: Recordings, tmp_path: Path
) -> None:
    file = tmp_path / "log"
    file.write_bytes(b"head" + PNG + b"one" + PNG + b"two" + JPEG)
    files = [
        RunFile(file, "image", 1, name="seen", span=(4, 11)),
        RunFile(file, "image", 1, name="seen", span=(15, 11)),
        RunFile(file, "image", 2, name="seen", span=(4, 11)),
        RunFile(file, "image", -1, name="before\udcff", span=(26, 3)),
    ]
    assert take_in(journals.journal, replace(RUN, files=files), ()).images == 3
    assert imports.events("media") == [
        {"name": "seen", "step": 1, **image_content(PNG + b"two")},
        {"name": "seen", "step": 2, **image_content(PNG + b"one")},
        {"name": "before\\udcff", "step": 2, **image_content(JPEG)},
    ]
    times = imports.rows("SELECT DISTINCT created_at FROM events WHERE kind = 'media'")
    assert times == [(to_text(BEGAN + timedelta(seconds=number)),) for number in (1, 2)]
    assert take_in(journals.journal, replace(RUN, files=files), ()).how == "known"
    assert take_in(journals.journal, replace(RUN, files=[*files, replace(files[0], step=2)]), ()).images == 0


def test_what_came_in_arrives_and_of_samples_of_the_machine_the_newest(
    imports: Imports, journals: Recordings, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    samples = [
        MachineSample(BEGAN + timedelta(seconds=number), {"cpu": number}, {"threads": 4}) for number in range(50)
    ]
    run = replace(RUN, files=[RunFile(tmp_path / "a.png", "image", 1)], samples=samples)
    assert take_in(journals.journal, run, ()).samples == 50
    assert [each["cpu"] for each in imports.events("system_metrics")] == [*range(50)]
    assert take_in(journals.journal, run, ()).how == "known"
    with running(tmp_path / "platform", api_key=KEY) as server:
        assert journals.drain(server.url, project="demo").exit_code == 0
        api = Api(server.url, server.api_key)
        model = api.model("one")
        [medium] = api.get("/api/models/local/demo/one/media")["media"]
    assert (model["status"], model["system"]) == ("completed", {"cpu": 49, "values": {"threads": 4}})
    assert (medium["name"], medium["step"], medium["mime"]) == ("a.png", 1, "image/png")
    assert imports.rows("SELECT count(*) < 10 FROM deliveries WHERE kind = 'system_metrics'") == [(1,)]
