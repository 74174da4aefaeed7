"""Reads the runs of MLflow's file store, `mlruns/EXPERIMENT/RUN`, which are folders of plain text.

MLflow's own reader is not used: today's refuses such folders unless a variable allows them, makes a folder in those it
opens, and one torn line costs it a whole metric.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from journal.quantities import count
from uploader.importing.imported_run import FoundRun, ImportedRun, Problem, RunState
from uploader.importing.reader import DeletedRun, UnreadableRun
from uploader.importing.readers.collected_steps import CollectedSteps
from uploader.importing.readers.libraries import library_module
from uploader.importing.readers.mlflow_metrics import read_metric
from uploader.importing.readers.named_files import files_below, run_file

_STATES: Mapping[Any, RunState] = {3: "complete", 4: "failed", 5: "failed"}
"""FINISHED, FAILED, KILLED. Of one that was killed without a word MLflow says RUNNING for ever, so that is unknown."""


class MlflowFolder:
    """Reads the folder of one run: `meta.yaml` with `metrics/`, `params/`, `tags/` and `artifacts/` beside it."""

    name = "mlflow"

    def detect(self, folder: Path) -> Sequence[FoundRun]:
        """Return the run of a folder."""
        try:
            with (folder / "meta.yaml").open(encoding="utf-8", errors="replace") as file:
                begin = file.read(4096)
        except OSError:
            return []
        is_run = any(line.startswith(("run_id:", "run_uuid:")) for line in begin.splitlines())
        return [FoundRun(self.name, folder)] if is_run else []

    def read(self, found: FoundRun) -> ImportedRun:
        """Return a run.

        Raises:
            DeletedRun: A person deleted it in MLflow.
            UnreadableRun: Its `meta.yaml` cannot be read.
        """
        folder = found.place
        facts = _facts(folder / "meta.yaml")
        if facts.get("lifecycle_stage") == "deleted" or folder.resolve().parent.parent.name == ".trash":
            raise DeletedRun("it was deleted in MLflow; `mlflow runs restore` brings it back")
        return _run(folder, facts)


READER = MlflowFolder()


def _run(folder: Path, facts: Mapping[str, Any]) -> ImportedRun:
    problems: list[Problem] = []
    steps, samples = CollectedSteps(), 0
    for file in files_below(folder / "metrics"):
        name = file.relative_to(folder / "metrics").as_posix()
        for at, value, number in read_metric(file, f"metrics/{name}", problems):
            if name.startswith("system/"):
                samples += 1
            else:
                steps.add(number, {name: value}, at)
    if samples:
        problems.append(
            Problem("metrics/system", f"not taken in: {count(samples, 'sample')} of the machine", is_left_out=True)
        )
    tags = _texts(folder / "tags", problems)
    started_at, ended_at = _time(facts.get("start_time")), _time(facts.get("end_time"))
    return ImportedRun(
        source="mlflow",
        identity=(str(facts.get("run_id") or facts.get("run_uuid")),),
        project=_experiment(folder.resolve().parent / "meta.yaml", problems),
        name=tags.get("mlflow.runName") or facts.get("run_name") or facts.get("name"),
        folder=folder,
        config={**_about(tags), **_texts(folder / "params", problems)},
        environment=_environment(tags),
        started_at=started_at,
        ended_at=ended_at or steps.last_time(),
        state=_STATES.get(facts.get("status"), "unknown"),
        error={4: "MLflow recorded that it failed", 5: "MLflow recorded that it was killed"}.get(
            facts.get("status", 0)
        ),
        steps=steps.steps(),
        files=[run_file(each) for each in files_below(folder / "artifacts")],
        problems=[*problems, *steps.problems("metrics"), *_elsewhere(folder, facts)],
    )


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
    for file in files_below(folder):
        name = file.relative_to(folder).as_posix()
        try:
            found[name] = file.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            problems.append(Problem(f"{folder.name}/{name}", f"cannot be read: {error}"))
    return found


def _about(tags: Mapping[str, str]) -> dict[str, Any]:
    """Return what a person said of the run beside its parameters."""
    own = {name: text for name, text in tags.items() if not name.startswith("mlflow.")}
    said = {"tags": own, "notes": tags.get("mlflow.note.content"), "parentRun": tags.get("mlflow.parentRunId")}
    return {name: value for name, value in said.items() if value}


def _environment(tags: Mapping[str, str]) -> dict[str, str]:
    names = {
        "command": "mlflow.source.name",
        "gitCommit": "mlflow.source.git.commit",
        "gitBranch": "mlflow.source.git.branch",
        "gitRepository": "mlflow.source.git.repoURL",
    }
    return {name: tags[tag] for name, tag in names.items() if tag in tags}


def _elsewhere(folder: Path, facts: Mapping[str, Any]) -> list[Problem]:
    """Return a problem if MLflow put the files of the run into another place."""
    place = str(facts.get("artifact_uri") or "")
    scheme = place.partition("://")[0]
    if place.endswith(f"/{folder.resolve().name}/artifacts") or not place:
        return []
    return [Problem("artifacts", f"not taken in: MLflow keeps them in {scheme}, not in its folder")]


def _time(milliseconds: Any) -> datetime | None:
    if not isinstance(milliseconds, (int, float)):
        return None
    return datetime.fromtimestamp(milliseconds / 1000, timezone.utc)
