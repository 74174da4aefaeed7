"""Reads MLflow's runs: those of its file store, `mlruns/EXPERIMENT/RUN`, are folders of plain text.

MLflow's own reader is not used: today's refuses such folders unless a variable allows them, makes a folder in those it
opens, and one torn line costs it a whole metric. A database, `mlflow.db`, it would take to its newest schema.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from uploader.importing.imported_run import FoundRun, ImportedRun, Problem
from uploader.importing.reader import DeletedRun, UnreadableRun
from uploader.importing.readers.libraries import library_module
from uploader.importing.readers.mlflow_database import read_run, runs_of_database
from uploader.importing.readers.mlflow_metrics import read_metric
from uploader.importing.readers.mlflow_run import MlflowRun
from uploader.importing.readers.named_files import files_below


class MlflowFolder:
    """Reads a run: `meta.yaml` with `metrics/`, `params/`, `tags/` and `artifacts/` beside it, or one of a database."""

    name = "mlflow"

    def detect(self, folder: Path) -> Sequence[FoundRun]:
        """Return the run of a folder, or those of its databases."""
        try:
            with (folder / "meta.yaml").open(encoding="utf-8", errors="replace") as file:
                begin = file.read(4096)
        except OSError:
            return runs_of_database(folder, self.name)
        is_run = any(line.startswith(("run_id:", "run_uuid:")) for line in begin.splitlines())
        return [FoundRun(self.name, folder)] if is_run else []

    def read(self, found: FoundRun) -> ImportedRun:
        """Return a run.

        Raises:
            DeletedRun: A person deleted it in MLflow.
            UnreadableRun: Its `meta.yaml` or its database cannot be read.
        """
        is_folder = found.place.is_dir()
        folder = found.place if is_folder else found.place.parent
        run = MlflowRun(_facts(folder / "meta.yaml")) if is_folder else read_run(found)
        if run.facts.get("lifecycle_stage") == "deleted" or folder.resolve().parent.parent.name == ".trash":
            raise DeletedRun("it was deleted in MLflow; `mlflow runs restore` brings it back")
        if is_folder:
            _read_folder(folder, run)
        return run.imported(folder)


READER = MlflowFolder()


def _read_folder(folder: Path, run: MlflowRun) -> None:
    for file in files_below(folder / "metrics", folder, run.problems):
        name = file.relative_to(folder / "metrics").as_posix()
        for at, value, number in read_metric(file, f"metrics/{name}", run.problems):
            run.add_metric(name, at, value, number)
    run.tags = _texts(folder / "tags", run.problems)
    run.params = _texts(folder / "params", run.problems)
    run.experiment = _experiment(folder.resolve().parent / "meta.yaml", run.problems)
    run.artifacts = folder / "artifacts"


def _facts(file: Path) -> dict[str, Any]:
    yaml = library_module("yaml", package="PyYAML", files="MLflow's runs")
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UnreadableRun(f"its {file.name} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise UnreadableRun(f"its {file.name} is empty or torn")
    return found


def _experiment(file: Path, problems: list[Problem]) -> str | None:
    try:
        name = _facts(file).get("name")
    except UnreadableRun as error:
        problems.append(Problem("the experiment's name", f"unknown: {error}"))
        return None
    return None if name is None else str(name)


def _texts(folder: Path, problems: list[Problem]) -> dict[str, str]:
    """Return the text of each file by its name; MLflow keeps a parameter or tag in each."""
    found = {}
    for file in files_below(folder, folder.parent, problems):
        name = file.relative_to(folder).as_posix()
        try:
            found[name] = file.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            problems.append(Problem(f"{folder.name}/{name}", f"cannot be read: {error}"))
    return found
