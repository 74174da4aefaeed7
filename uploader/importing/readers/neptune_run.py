"""What the operations of a Neptune run say, one after the other."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from journal.quantities import count
from uploader.importing.imported_run import ImportedRun, Problem
from uploader.importing.readers.collected_steps import CollectedSteps, ConsoleLines
from uploader.importing.readers.moments import of_message
from uploader.importing.readers.named_files import NamedFiles

_CONSOLE = ("runtime/stdout", "runtime/stderr")


class NeptuneRun:
    """A run that is put together from its operations. Neptune does not record how a run ended."""

    def __init__(self, identity: tuple[str, str]) -> None:
        """Take project and id."""
        self.problems: list[Problem] = []
        self._identity = identity
        self._name: str | None = None
        self._config: dict[str, Any] = {}
        self._sets: dict[str, set[str]] = {}
        self._environment: dict[str, Any] = {}
        self._times: list[datetime] = []
        self._steps, self._previews = CollectedSteps(), CollectedSteps()
        self._console = ConsoleLines()
        self._files: list[NamedFiles] = []
        self._part = -1
        self._between: Counter[str] = Counter()

    def begin(self, folder: Path) -> None:
        """Begin with the operations of another file.

        Args:
            folder: The folder that it lies in.
        """
        self._part += 1
        self._files.append(NamedFiles(folder))

    def add(self, record: Any) -> None:
        """Take in an operation."""
        if record.DESCRIPTOR.name == "Run":
            self._begin_run(record)
            return
        at = self._seen(of_message(record.timestamp))
        for name, value in sorted(record.assign.items()):
            self._assign(name, value)
        for name, change in sorted(record.modify_sets.items()):
            self._modify(name, change.string)
        self._append(record, at)

    def _begin_run(self, run: Any) -> None:
        self._name = self._name or run.experiment_id
        if run.HasField("creation_time"):
            self._seen(of_message(run.creation_time))
        if run.HasField("fork_point"):
            forked = run.fork_point
            step = forked.step.whole if forked.HasField("step") else "?"
            parent = forked.parent_run_id or forked.parent_project
            why = f"is a fork of run {parent} at step {step}: what came before is there"
            self.problems.append(Problem("the run", why))

    def _seen(self, at: datetime | None) -> datetime | None:
        if at is not None:
            self._times.append(at)
        return at

    def _assign(self, name: str, value: Any) -> None:
        if value.WhichOneof("value") == "file_ref":
            self._add_file(name, value, None)
        else:
            self._config[name] = _value(value)

    def _modify(self, name: str, changes: Any) -> None:
        found = self._sets.setdefault(name, set())
        for text, change in sorted(changes.values.items()):
            (found.add if change == _ADD else found.discard)(text)

    def _append(self, record: Any, at: datetime | None) -> None:
        values: dict[str, Any] = {}
        for name, value in sorted(record.append.items()):
            kind = value.WhichOneof("value")
            if kind == "file_ref":
                self._add_file(name, value, record.step.whole)
            elif kind == "string" and name in _CONSOLE:
                self._console.add(name, value.string.rstrip("\n") + "\n", at)
            elif record.step.micro:
                self._between[name] += 1
            else:
                values[name] = _value(value)
        if values:
            steps = self._previews if record.HasField("preview") and record.preview.is_preview else self._steps
            steps.add(record.step.whole, values, at, part=self._part)

    def _add_file(self, name: str, value: Any, step: int | None) -> None:
        """Take in a file that neptune-scale copied beside its database; others were to be read when they were sent."""
        self._files[-1].add(PurePosixPath(value.file_ref.path).name, step, logged_as=name)

    def imported(self, folder: Path) -> ImportedRun:
        """Return the run.

        Args:
            folder: Where it lies.
        """
        for step in self._steps.steps():
            self._previews.add(step.number, step.values, step.at)
        project, run = self._identity
        sets = {name: sorted(values) for name, values in sorted(self._sets.items())}
        return ImportedRun(
            source="neptune",
            identity=self._identity,
            project=project,
            name=self._name or run,
            folder=folder,
            config={**self._config, **sets},
            started_at=min(self._times, default=None),
            ended_at=max(self._times, default=None),
            steps=self._previews.steps(),
            console=self._console.texts(),
            files=[each for files in self._files for each in files.files()],
            problems=[*self.problems, *self._further_problems(folder.name)],
        )

    def _further_problems(self, what: str) -> list[Problem]:
        return [
            *(
                Problem(name, f"not taken in: {count(number, 'value')} between whole steps", is_left_out=True)
                for name, number in sorted(self._between.items())
            ),
            *self._steps.problems(what),
            *(problem for files in self._files for problem in files.problems()),
        ]


_ADD = 1
"""`SET_OPERATION.ADD` of Neptune's messages."""


def _value(value: Any) -> Any:
    """Return a value in plain words."""
    kind = value.WhichOneof("value")
    found: Any = getattr(value, kind) if kind else None
    if kind == "timestamp":
        at = of_message(found)
        return None if at is None else at.isoformat()
    if kind == "string_set":
        return sorted(found.values)
    if kind == "histogram":
        counted = found.counts if found.HasField("counts") else found.densities
        return {"edges": list(found.bin_edges), "counts": list(counted.values)}
    return found
