"""Offline folders of other trackers, made by their own libraries: all of it arrives once, and they stay as they are."""

from __future__ import annotations

import math
import shutil
import sqlite3
import sys
from importlib import import_module
from pathlib import Path

import pytest
from support.tracker_folders import STEPS, make, metrics, picture

import journal
from journal.reading.run_reader import RunReader
from uploader.importing.finding import find_runs
from uploader.importing.imported_run import ImportedRun
from uploader.importing.reader import Reader, ReaderMissing, UnreadableRun
from uploader.importing.taking_in import take_in

LIBRARIES = {
    "wandb": ("wandb", "wandb.proto.wandb_internal_pb2"),
    "mlflow": ("mlflow", "yaml"),
    "trackio": ("trackio", None),
    "neptune": ("neptune_scale", "neptune_api.proto.neptune_pb.ingest.v1.common_pb2"),
    "tensorboard": ("tensorboard", "tensorboard.compat.proto.event_pb2"),
}
"""By tracker: what makes its folder, and what reads it."""
HISTORY = {
    "wandb": "**/run-killed.wandb",
    "mlflow": "**/metrics/loss",
    "trackio": "proj.db",
    "neptune": "ws_proj_killed_*/run_operations.sqlite3",
    "tensorboard": "killed/*tfevents*",
}
"""By tracker: the file that holds what the killed run logged."""


def reader_of(tracker: str) -> Reader:
    found: Reader = import_module(f"uploader.importing.readers.{tracker}_folder").READER
    return found


def runs_in(tracker: str, folder: Path) -> dict[str, ImportedRun]:
    reader = reader_of(tracker)
    found = {}
    for each in find_runs([folder], [reader]):
        try:
            run = reader.read(each)
        except ReaderMissing:
            raise
        except UnreadableRun:
            continue
        assert run.name not in found
        found[str(run.name)] = run
    return found


def state_of(folder: Path) -> dict[str, tuple[bytes, int]]:
    files = (each for each in folder.rglob("*") if each.is_file())
    return {str(each): (each.read_bytes(), each.stat().st_mtime_ns) for each in files}


@pytest.fixture(scope="module", params=sorted(LIBRARIES))
def tracker(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    pytest.importorskip(LIBRARIES[found][0])
    return found


@pytest.fixture(scope="module")
def made(tracker: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(tracker)
    make(tracker, folder)
    return folder


@pytest.fixture
def copied(made: Path, tmp_path: Path) -> Path:
    """The folder, to be damaged; MLflow and neptune-scale put no path into what is read here."""
    return shutil.copytree(made, tmp_path / "copied", symlinks=True)


def test_what_the_library_logged_arrives_and_its_folder_is_left_as_it_is(tracker: str, made: Path) -> None:
    before = state_of(made)
    runs = runs_in(tracker, made)
    assert state_of(made) == before
    for name in ("finished", "killed"):
        steps = {step.number: step for step in runs[name].steps}
        known = steps if name == "finished" or tracker != "wandb" else range(len(steps))  # the last ones never left it
        for number in sorted(set(range(STEPS)) & set(known)):
            assert {key: steps[number].values[key] for key in ("loss", "val/acc")} == metrics(number)
            assert steps[number].at is not None
        assert len(steps) >= (STEPS if tracker != "wandb" else 3)
    assert runs["killed"].state == "unknown"
    assert runs["finished"].state == ("complete" if tracker in ("wandb", "mlflow") else "unknown")


def test_the_rest_of_a_run_arrives(tracker: str, made: Path) -> None:
    runs = runs_in(tracker, made)
    run = runs["finished"]
    at_end = {step.number: step.values for step in run.steps}[STEPS]
    if tracker in ("wandb", "mlflow", "trackio", "neptune"):
        assert float(run.config["lr"]) == 0.1
        assert run.project == {"mlflow": "one", "neptune": "ws/proj"}.get(tracker, "proj")
    if tracker != "neptune":  # which refuses to log these
        assert math.isnan(at_end["nan"])
        assert at_end["inf"] == -math.inf
    if tracker in ("wandb", "trackio", "neptune"):
        assert at_end["note"] == "hello"
    if tracker in ("wandb", "neptune"):
        assert [text.text for text in run.console][:2] == ["step 0\n", "step 1\n"]
    if tracker in ("wandb", "mlflow"):
        assert [(file.path.name, file.role) for file in run.files if file.role == "best"] == [("best.pt", "best")]
        assert runs["failed"].state == "failed"
    if tracker == "wandb":
        assert run.summary["top"] == 0.9
        assert [file.path.name for file in run.files if file.role == "last"] == []
        assert any("leads out of the run's folder" in each.why for each in run.problems if each.what == "linked.pt")
        assert runs["failed"].error == "wandb recorded exit code 3"
    if tracker == "mlflow":
        assert "deleted" not in runs
        assert runs["child"].config["parentRun"] == run.identity[0]
        assert run.config["tags"] == {"team": "a"}
        assert runs["killed"].project == "two"
    if tracker == "neptune":
        assert run.config["sys/tags"] == ["a"]
        assert "not taken in: 1 value between whole steps" in [problem.why for problem in run.problems]
    if tracker == "tensorboard":
        assert set(runs) == {"finished", "killed"}
        assert run.steps[0].values["loss/train"] == 7.0


IMAGES = {
    "wandb": {("many/0", STEPS), ("many/1", STEPS), ("seen", STEPS)},
    "mlflow": {("a/seen", 2), ("plots/plot.png", None)},
    "trackio": {("seen", STEPS)},
    "neptune": {("plots/a.png", None), ("seen", 2)},
    "tensorboard": {("newer/0", 3), ("newer/1", 3), ("seen", 2)},
}
"""By tracker: name and step of each image that the run `finished` has logged."""
SAMPLED = {
    "mlflow": [({"cpu": 5.0}, {"system/other": 1.0})] * 2,
    "trackio": [({"gpus": {"0": {"memory": 50.0}}}, {"other": 1.0})],
    "neptune": [],
    "tensorboard": [],
}
"""By tracker: what that run has logged of the machine; wandb measures it."""


def test_images_arrive_by_name_and_step_and_samples_of_the_machine_as_our_own(
    tracker: str, made: Path, tmp_path: Path
) -> None:
    run = runs_in(tracker, made)["finished"]
    images = {(file.shown_as, file.step): file for file in run.files if file.role == "image"}
    assert images.keys() == IMAGES[tracker]
    with journal.open(tmp_path / "journal") as opened:
        taken = take_in(opened, run, ())
        media = RunReader(opened.begin, taken.run.id).media()
    assert taken.images == len(media) == len(images) - (tracker == "tensorboard")
    assert {(each.name, each.mime) for each in media} == {
        (name, "image/png") for name, _ in images if name != "newer/1"
    }
    refused = [each.what for each in taken.problems if "an image file is a PNG" in each.why]
    assert refused == (["newer/1"] if tracker == "tensorboard" else [])
    if tracker == "wandb":
        assert any("not taken in" in each.why and ".mask.png" in each.what for each in taken.problems)
        assert all(0 <= sample.system["ram"] <= 100 for sample in run.samples)
        assert any("proc.memory.rssMB" in sample.values for sample in run.samples)
    else:
        assert [(sample.system, sample.values) for sample in run.samples] == SAMPLED[tracker]
    assert taken.samples == len(run.samples)
    if tracker in ("wandb", "trackio"):
        assert run.steps[-1].values["seen/caption"] == "below"
    if tracker == "tensorboard":
        assert media[0].content == picture()


def test_a_second_import_adds_nothing_and_one_of_a_grown_folder_the_rest(
    tracker: str, copied: Path, tmp_path: Path
) -> None:
    file = _history(tracker, copied)
    whole = file.read_bytes()
    with journal.open(tmp_path / "journal") as opened:
        file.write_bytes(whole[: len(whole) * 2 // 3])
        torn = {name: take_in(opened, run, ()) for name, run in runs_in(tracker, copied).items()}
        file.write_bytes(whole)
        grown = {name: take_in(opened, run, ()) for name, run in runs_in(tracker, copied).items()}
        again = {name: take_in(opened, run, ()) for name, run in runs_in(tracker, copied).items()}
    assert {taken.how for taken in again.values()} == {"known"}
    assert {taken.steps for taken in again.values()} == {0}
    assert {name: taken.run.id for name, taken in grown.items()} == {
        name: taken.run.id for name, taken in again.items()
    }
    assert all(torn[name].run.id == grown[name].run.id for name in torn)
    runs = runs_in(tracker, copied)
    assert all(
        torn[name].steps + grown[name].steps >= len(runs[name].steps) if name in torn else grown[name].how == "new"
        for name in runs
    )


def test_what_is_before_a_torn_tail_arrives_and_the_rest_is_named(tracker: str, copied: Path) -> None:
    file = _history(tracker, copied)
    whole = file.read_bytes()
    complete = runs_in(tracker, copied)
    for part in range(1, 12):
        cut = len(whole) * part // 12
        told = [_is_loss_told(tracker, copied, file, whole[:end], complete) for end in (cut, cut + 1)]
        # One of the two is no end of a record. What a log of SQLite lacks cannot be told: transactions that never were.
        assert any(told) or file.name.endswith("-wal")


def _is_loss_told(tracker: str, folder: Path, file: Path, content: bytes, complete: dict[str, ImportedRun]) -> bool:
    file.write_bytes(content)
    runs = runs_in(tracker, folder)
    for name, run in runs.items():
        known = {each.number: each.values for each in complete[name].steps}
        assert all(repr(step.values[key]) == repr(known[step.number][key]) for step in run.steps for key in step.values)
    return "killed" not in runs or bool(runs["killed"].problems)


def test_a_run_of_wandb_whose_begin_is_damaged_has_its_steps_still(tracker: str, copied: Path) -> None:
    if tracker != "wandb":
        return
    file = _history(tracker, copied)
    content = bytearray(file.read_bytes())
    content[20] ^= 0xFF
    file.write_bytes(content)
    run = runs_in("wandb", copied)["killed"]
    assert run.steps
    assert run.identity == ("", "", "killed")
    assert any("byte 7 cannot be read" in problem.why for problem in run.problems)


def _history(tracker: str, folder: Path) -> Path:
    """Return the file that holds what was logged: SQLite's log, where its database was not ended."""
    found = next(file for file in sorted(folder.glob(HISTORY[tracker])) if tracker != "mlflow" or _is_killed(file))
    log = found.with_name(found.name + "-wal")
    return log if log.exists() else found


def _is_killed(metric: Path) -> bool:
    return "run_name: killed" in (metric.parent.parent / "meta.yaml").read_text()


@pytest.mark.parametrize("tracker_name", [name for name, (_, module) in LIBRARIES.items() if module])
def test_a_missing_library_is_named_with_what_to_install(
    tracker_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _looks_like(tracker_name, tmp_path)
    monkeypatch.setitem(sys.modules, str(LIBRARIES[tracker_name][1]), None)
    monkeypatch.setitem(sys.modules, "tensorboard.compat.tensorflow_stub.pywrap_tensorflow", None)
    reader = reader_of(tracker_name)
    [found] = find_runs([tmp_path], [reader])
    with pytest.raises(ReaderMissing, match="pip install"):
        reader.read(found)


def _looks_like(tracker_name: str, folder: Path) -> None:
    if tracker_name == "neptune":
        connection = sqlite3.connect(folder / "run_operations.sqlite3")
        connection.executescript(
            "CREATE TABLE run_operations (sequence_id, timestamp, operation_type, operation);"
            "CREATE TABLE metadata (version, project, run_id); INSERT INTO metadata VALUES ('v5', 'p', 'r')"
        )
        connection.close()
    names = {"wandb": "run-a.wandb", "mlflow": "meta.yaml", "tensorboard": "events.out.tfevents.1.vm.2.0"}
    if tracker_name in names:
        (folder / names[tracker_name]).write_text("run_id: a\n")


def test_a_resumed_run_of_wandb_is_one_and_what_was_logged_twice_is_said(tracker: str, copied: Path) -> None:
    if tracker != "wandb":
        return
    first = next(copied.glob("wandb/*-finished"))
    shutil.copytree(first, first.with_name("offline-run-99991231_000000-finished"), symlinks=True)
    run = runs_in("wandb", copied)["finished"]
    assert len(run.steps) == STEPS + 1
    assert any(f"{STEPS + 1} steps were logged by two starts" in problem.why for problem in run.problems)
