"""Folders as MLflow 3.17, Trackio 0.43 and Trackio 0.0.6 leave them, for where these libraries are not installed."""

from __future__ import annotations

import math
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from uploader.importing.reader import DeletedRun, UnreadableRun, read_run
from uploader.importing.readers import mlflow_folder
from uploader.importing.readers.trackio_folder import READER

META = """\
artifact_uri: {artifacts}
end_time: 1795796902843
entry_point_name: ''
experiment_id: '217566250182210129'
lifecycle_stage: {stage}
run_id: b118294791ce457795577b0491bd43a7
run_name: finished
source_name: ''
source_type: 4
source_version: ''
start_time: 1795796902813
status: {status}
tags: []
user_id: root
"""
DOGS = "a~dogs+step+4+timestamp+1795807332851+c7309625-2550-44af-ad5a-969e0ccedefd"
FILES = {
    "metrics/loss": "1795796902820 1.0 0\n1795796902830 0.5 1\n",
    "metrics/val/acc": "1795796902830 nan 1\n",
    "metrics/system/cpu_utilization_percentage": "1795796902830 3.0 0\n",
    "metrics/system/other": "1795796902830 7.0 0\n",
    "params/opt/name": "sgd",
    "tags/mlflow.runName": "finished",
    "tags/mlflow.source.git.commit": "abc",
    "tags/team": "a",
    "artifacts/weights/best.pt": "weights",
    f"artifacts/images/{DOGS}.png": "",
    f"artifacts/images/{DOGS}+compressed.webp": "",
    "artifacts/plots/x.png": "",
}


def mlflow_run(folder: Path, *, stage: str = "active", status: int = 3, artifacts: str | None = None) -> Path:
    run = folder / "mlruns" / "217566250182210129" / "b118294791ce457795577b0491bd43a7"
    for name, text in FILES.items():
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text(text)
    place = artifacts or f"{run.as_uri()}/artifacts"
    (run / "meta.yaml").write_text(META.format(stage=stage, status=status, artifacts=place))
    (run.parent / "meta.yaml").write_text("experiment_id: '217566250182210129'\nlifecycle_stage: active\nname: one\n")
    return run


def test_a_run_of_mlflow_comes_with_all_that_its_folder_tells(tmp_path: Path) -> None:
    pytest.importorskip("yaml")
    folder = mlflow_run(tmp_path)
    assert mlflow_folder.READER.detect(folder.parent) == []
    [found] = mlflow_folder.READER.detect(folder)
    run = mlflow_folder.READER.read(found)
    assert (run.project, run.name, run.state, run.identity) == ("one", "finished", "complete", (folder.name,))
    assert run.config == {"tags": {"team": "a"}, "opt/name": "sgd"}
    assert run.environment == {"gitCommit": "abc"}
    assert [(step.number, step.values["loss"]) for step in run.steps] == [(0, 1.0), (1, 0.5)]
    assert math.isnan(run.steps[1].values["val/acc"])
    assert [file.path.name for file in run.files if file.role == "best"] == ["best.pt"]
    [sample] = run.samples
    assert (sample.system, sample.values) == ({"cpu": 3.0}, {"system/other": 7.0})
    images = [(file.shown_as, file.step, file.role) for file in run.files if file.role == "image"]
    assert images == [("a/dogs", 4, "image"), ("plots/x.png", None, "image")]
    assert [file.path.name for file in run.files if file.role == "other"] == [f"{DOGS}+compressed.webp"]
    assert not run.problems


@pytest.mark.parametrize(("status", "state"), [(1, "unknown"), (3, "complete"), (4, "failed"), (5, "failed")])
def test_a_run_of_mlflow_ended_as_it_says(status: int, state: str, tmp_path: Path) -> None:
    pytest.importorskip("yaml")
    [found] = mlflow_folder.READER.detect(mlflow_run(tmp_path, status=status))
    run = mlflow_folder.READER.read(found)
    assert run.state == state
    assert bool(run.error) == (state == "failed")


def test_a_run_that_mlflow_deleted_is_left_out_and_a_torn_one_is_named(tmp_path: Path) -> None:
    pytest.importorskip("yaml")
    folder = mlflow_run(tmp_path, stage="deleted")
    [found] = mlflow_folder.READER.detect(folder)
    with pytest.raises(DeletedRun):
        mlflow_folder.READER.read(found)
    (folder / "meta.yaml").write_text("run_id: [")
    with pytest.raises(UnreadableRun, match="cannot be read"):
        mlflow_folder.READER.read(found)


def test_files_that_no_reader_expects_are_told_as_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [found] = mlflow_folder.READER.detect(mlflow_run(tmp_path))
    monkeypatch.setattr(mlflow_folder, "_facts", lambda file: 1 / 0)
    with pytest.raises(UnreadableRun, match="are not what they should be: ZeroDivisionError"):
        read_run(found)


@pytest.mark.parametrize(
    "facts", ["start_time: 999999999999999999", "status: [1]", "end_time: .nan", "run_name: {a: 1}"]
)
def test_a_fact_of_mlflow_that_is_none_costs_nothing_else(facts: str, tmp_path: Path) -> None:
    pytest.importorskip("yaml")
    folder = mlflow_run(tmp_path)
    with (folder / "meta.yaml").open("a") as file:
        file.write(f"{facts}\n")
    [found] = mlflow_folder.READER.detect(folder)
    assert len(mlflow_folder.READER.read(found).steps) == 2


def test_a_run_of_which_nothing_is_there_is_named_and_not_imported(imports: Any, tmp_path: Path) -> None:
    pytest.importorskip("yaml")
    folder = mlflow_run(tmp_path, status=1)
    for below in ("metrics", "artifacts"):
        shutil.rmtree(folder / below)
    for _ in range(2):
        [told] = imports(folder, code=4)
        assert told["error"] == "no step, weights or end of it can be read"
    assert imports.rows("SELECT * FROM runs") == []


def test_files_that_mlflow_keeps_elsewhere_are_named(tmp_path: Path) -> None:
    pytest.importorskip("yaml")
    [found] = mlflow_folder.READER.detect(mlflow_run(tmp_path, artifacts="s3://bucket/run/artifacts"))
    assert any("in s3, not in its folder" in problem.why for problem in mlflow_folder.READER.read(found).problems)


def test_runs_of_a_database_of_mlflow_are_the_same_as_those_of_folders(tmp_path: Path) -> None:
    uuid = "b118294791ce457795577b0491bd43a7"
    artifacts = tmp_path / "mlruns" / "1" / uuid / "artifacts"
    artifacts.mkdir(parents=True)
    (artifacts / "best.pt").touch()
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as connection:
        connection.executescript(
            f"""
            CREATE TABLE experiments (experiment_id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(256) NOT NULL);
            CREATE TABLE runs (run_uuid VARCHAR(32) NOT NULL PRIMARY KEY, name VARCHAR(250), status VARCHAR(9),
                start_time BIGINT, end_time BIGINT, lifecycle_stage VARCHAR(20), artifact_uri VARCHAR(200),
                experiment_id INTEGER);
            CREATE TABLE metrics ("key" VARCHAR(250) NOT NULL, value FLOAT NOT NULL, timestamp BIGINT NOT NULL,
                run_uuid VARCHAR(32) NOT NULL, step BIGINT DEFAULT '0' NOT NULL, is_nan BOOLEAN DEFAULT '0' NOT NULL);
            CREATE TABLE params ("key" VARCHAR(250) NOT NULL, value VARCHAR(8000) NOT NULL, run_uuid VARCHAR(32));
            CREATE TABLE tags ("key" VARCHAR(250) NOT NULL, value VARCHAR(8000), run_uuid VARCHAR(32) NOT NULL);
            INSERT INTO experiments VALUES (1, 'one');
            INSERT INTO runs VALUES
                ('{uuid}', 'a', 'FINISHED', 1795798755853, 1795798756082, 'active', '/x/{uuid}/artifacts', 1),
                ('gone', 'b', 'FINISHED', 1, 2, 'deleted', '/x/gone/artifacts', 1),
                ('died', 'c', 'RUNNING', 1, NULL, 'active', 's3://bucket', 1);
            INSERT INTO metrics VALUES ('loss', 1.0, 1795798755934, '{uuid}', 0, 0),
                ('loss', 1.7976931348623157e308, 1795798755935, '{uuid}', 1, 0), ('loss', 0, 3, '{uuid}', 2, 1);
            INSERT INTO params VALUES ('lr', '0.1', '{uuid}');
            INSERT INTO tags VALUES ('team', 'a', '{uuid}');
            """
        )
    whole, deleted, died = mlflow_folder.READER.detect(tmp_path)
    run = mlflow_folder.READER.read(whole)
    assert (run.project, run.name, run.state, run.identity) == ("one", "a", "complete", (uuid,))
    assert repr([step.values["loss"] for step in run.steps]) == "[1.0, inf, nan]"
    assert run.config == {"tags": {"team": "a"}, "lr": "0.1"}
    assert [file.role for file in run.files] == ["best"]
    assert not run.problems
    (artifacts / "best.pt").unlink()
    artifacts.rmdir()
    assert [(each.what, each.is_left_out) for each in mlflow_folder.READER.read(whole).problems] == [
        ("artifacts", True)
    ]
    with pytest.raises(DeletedRun):
        mlflow_folder.READER.read(deleted)
    assert mlflow_folder.READER.read(died).state == "unknown"
    assert [problem.what for problem in mlflow_folder.READER.read(died).problems] == ["artifacts"]
    (tmp_path / "mlflow.db").write_bytes(b"SQLite format 3\0" + bytes(4000))
    [damaged] = mlflow_folder.READER.detect(tmp_path)
    with pytest.raises(UnreadableRun, match="is damaged"):
        mlflow_folder.READER.read(damaged)


def test_runs_of_a_new_trackio_are_told_apart_by_their_ids(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "proj.db")) as connection:
        connection.executescript(
            """
            CREATE TABLE metrics (id INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL, timestamp TEXT NOT NULL,
                                  run_name TEXT NOT NULL, step INTEGER NOT NULL, metrics TEXT NOT NULL, log_id TEXT);
            CREATE TABLE system_metrics (id INTEGER PRIMARY KEY, run_id TEXT, timestamp TEXT, metrics TEXT);
            INSERT INTO metrics (run_id, timestamp, run_name, step, metrics) VALUES
                ('1', '2026-11-27T16:11:02.625752+00:00', 'a', 0, CAST('{"loss": 1, "nested": {"b": 2}}' AS BLOB)),
                ('1', '2026-11-27T16:11:03.625752+00:00', 'a', 7,
                 CAST('{"loss": "-Infinity", "img": {"_type": "trackio.image", "file_path": "a/7/x.png"}}' AS BLOB)),
                ('2', '2026-11-27T16:12:02.625752+00:00', 'a', 0, CAST('{"loss": 3}' AS BLOB));
            INSERT INTO system_metrics VALUES (1, '1', '2026-11-27T16:11:04+00:00', '{}'),
                (2, '1', '2026-11-27T16:11:05+00:00', '{"gpu/0/memory_usage": 0.5, "cpu/utilization": "NaN", "x": 1}');
            """
        )
    first, second = [READER.read(found) for found in READER.detect(tmp_path)]
    assert [(step.number, dict(step.values)) for step in first.steps] == [
        (0, {"loss": 1, "nested": {"b": 2}}),
        (7, {"loss": -math.inf}),
    ]
    assert first.identity != second.identity
    assert [(problem.what, problem.is_left_out) for problem in first.problems] == [("a/7/x.png", False)]
    [sample] = first.samples
    assert (sample.system["gpus"], sample.values) == ({"0": {"memory": 50.0}}, {"x": 1})
    assert math.isnan(sample.system["cpu"])
    (tmp_path / "media" / "a" / "7").mkdir(parents=True)
    (tmp_path / "media" / "a" / "7" / "x.png").touch()
    [image] = READER.read(READER.detect(tmp_path)[0]).files
    assert (image.shown_as, image.step, image.role) == ("img", 7, "image")


def test_runs_of_an_old_trackio_have_steps_by_their_order(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "proj.db")) as connection:
        connection.executescript(
            """
            CREATE TABLE metrics (id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp DATETIME DEFAULT CURRENT_TIMESTAMP,
                                  project_name TEXT NOT NULL, run_name TEXT NOT NULL, metrics TEXT NOT NULL);
            CREATE TABLE configs (project_name TEXT NOT NULL, run_name TEXT NOT NULL, config TEXT NOT NULL,
                                  created_at DATETIME DEFAULT CURRENT_TIMESTAMP, PRIMARY KEY (project_name, run_name));
            INSERT INTO metrics (project_name, run_name, metrics) VALUES
                ('proj', 'a', '{"loss": 3}'), ('proj', 'b', '{"loss": 9}'), ('proj', 'a', '{"loss": "NaN"}'),
                ('proj', 'a', 'x');
            INSERT INTO configs (project_name, run_name, config) VALUES ('proj', 'a', '{"lr": 1, "_Group": null}');
            """
        )
    runs = [READER.read(found) for found in READER.detect(tmp_path)]
    assert [(run.project, run.name, dict(run.config)) for run in runs] == [("proj", "a", {"lr": 1}), ("proj", "b", {})]
    assert [(step.number, repr(dict(step.values))) for step in runs[0].steps] == [
        (0, "{'loss': 3}"),
        (1, "{'loss': nan}"),
        (2, "{}"),
    ]
    assert [problem.why for problem in runs[0].problems] == ["1 rows of a are no JSON"]
