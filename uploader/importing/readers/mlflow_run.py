"""What MLflow knows of one run, whether it keeps it in a folder or in a database."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from uploader.importing.imported_run import OTHER, ImportedRun, Problem, RunFile, RunState
from uploader.importing.readers.collected_steps import CollectedSteps
from uploader.importing.readers.machine_samples import OF_MLFLOW, MachineSamples
from uploader.importing.readers.moments import moment
from uploader.importing.readers.named_files import files_below, run_file

_STATES: Mapping[Any, RunState] = {
    **dict.fromkeys((3, "FINISHED"), "complete"),
    **dict.fromkeys((4, "FAILED", 5, "KILLED"), "failed"),
}
"""In folders by number. One that was killed without a word stays RUNNING for ever, so that says nothing."""
_ERRORS = {
    **dict.fromkeys((4, "FAILED"), "MLflow recorded that it failed"),
    **dict.fromkeys((5, "KILLED"), "MLflow recorded that it was killed"),
}
_ENVIRONMENT = {
    "command": "mlflow.source.name",
    "gitCommit": "mlflow.source.git.commit",
    "gitBranch": "mlflow.source.git.branch",
    "gitRepository": "mlflow.source.git.repoURL",
}


_IMAGE = re.compile(
    r"images/(?P<name>.+)(?P<mark>[+%])step(?P=mark)(?P<step>\d+)(?P=mark)timestamp(?P=mark)\d+(?P=mark)[^+%]+"
    r"(?P<smaller>(?P=mark)compressed)?\.\w+"
)
"""How MLflow calls the file of an image that was logged with a step, and a smaller copy of it."""
_SLASH = {"+": "~", "%": "#"}
"""What stands for a slash in such a name."""


@dataclass
class MlflowRun:
    """A run that is put together from what MLflow keeps.

    Attributes:
        facts: The members of its `meta.yaml`, or its row: its id and name, `status`, `start_time` and others.
        experiment: Name of its experiment.
        tags: By name.
        params: By name.
        artifacts: The folder of its files, where MLflow keeps them here.
        problems: What does not come in.
    """

    facts: Mapping[str, Any]
    experiment: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    artifacts: Path | None = None
    problems: list[Problem] = field(default_factory=list)
    _steps: CollectedSteps = field(default_factory=CollectedSteps)
    _samples: MachineSamples = field(default_factory=lambda: MachineSamples(OF_MLFLOW))

    @property
    def uuid(self) -> str:
        """Its id."""
        return str(self.facts.get("run_id") or self.facts.get("run_uuid"))

    def add_metric(self, name: str, at: datetime | None, value: float, step: Any) -> None:
        """Take in a value."""
        if name.startswith("system/"):
            self._samples.add(at, {name: value})
        else:
            self._steps.add(step, {name: value}, at)

    def imported(self, folder: Path) -> ImportedRun:
        """Return the run.

        Args:
            folder: Where it lies.
        """
        told = self.facts.get("status")
        status = told if isinstance(told, (int, str)) else None
        files = files_below(self.artifacts, folder, self.problems) if self.artifacts else []
        name = self.tags.get("mlflow.runName") or self.facts.get("run_name") or self.facts.get("name")
        return ImportedRun(
            source="mlflow",
            identity=(self.uuid,),
            project=self.experiment,
            name=None if name is None else str(name),
            folder=folder,
            config={**self._about(), **self.params},
            environment={name: self.tags[tag] for name, tag in _ENVIRONMENT.items() if tag in self.tags},
            started_at=moment(self.facts.get("start_time"), per_second=1000),
            ended_at=moment(self.facts.get("end_time"), per_second=1000) or self._steps.last_time(),
            state=_STATES.get(status, "unknown"),
            error=_ERRORS.get(status),
            steps=self._steps.steps(),
            samples=self._samples.samples(),
            files=[_artifact(each, each.relative_to(self.artifacts).as_posix()) for each in files if self.artifacts],
            problems=[
                *self.problems,
                *self._steps.problems("metrics"),
                *self._samples.problems("metrics/system"),
                *self._further(),
            ],
        )

    def _about(self) -> dict[str, Any]:
        """Return what a person said of the run beside its parameters."""
        own = {name: text for name, text in self.tags.items() if not name.startswith("mlflow.")}
        notes, parent = self.tags.get("mlflow.note.content"), self.tags.get("mlflow.parentRunId")
        return {name: value for name, value in {"tags": own, "notes": notes, "parentRun": parent}.items() if value}

    def _further(self) -> Sequence[Problem]:
        found = []
        place = str(self.facts.get("artifact_uri") or "")
        if place and not place.endswith(f"/{self.uuid}/artifacts"):
            scheme = place.partition("://")[0]
            found.append(Problem("artifacts", f"not taken in: MLflow keeps them in {scheme}, not in its folder"))
        elif self.artifacts and not self.artifacts.is_dir() and not place.endswith(str(self.artifacts.resolve())):
            why = f"none in {self.artifacts}, and what may lie where MLflow kept them is not taken in"
            found.append(Problem("artifacts", why, is_left_out=True))
        return found


def _artifact(path: Path, name: str) -> RunFile:
    """Return a file among a run's artifacts.

    Args:
        path: Where it is.
        name: The same below the folder of artifacts.
    """
    image = _IMAGE.fullmatch(name)
    if image is None:
        return run_file(path, name=name)
    if image["smaller"]:
        return RunFile(path, OTHER)
    return run_file(path, int(image["step"]), image["name"].replace(_SLASH[image["mark"]], "/"))
