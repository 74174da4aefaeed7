"""What the records of a wandb run say, one after the other."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from journal.quantities import count
from uploader.importing.imported_run import ImportedRun, Problem, RunState
from uploader.importing.readers.collected_steps import CollectedSteps, ConsoleLines
from uploader.importing.readers.machine_samples import OF_WANDB, MachineSamples
from uploader.importing.readers.moments import moment, of_message
from uploader.importing.readers.named_files import NamedFiles


class WandbRun:
    """A run that is put together from its records; several files, where it was resumed."""

    def __init__(self) -> None:
        self.identity: tuple[str, str, str] | None = None
        self.problems: list[Problem] = []
        self._name = ""
        self._part = -1
        self._config: dict[str, Any] = {}
        self._summary: dict[str, Any] = {}
        self._environment: dict[str, Any] = {}
        self._about: dict[str, Any] = {}
        self._times: list[datetime] = []
        self._exit_code: int | None = None
        self._steps = CollectedSteps()
        self._console = ConsoleLines()
        self._samples = MachineSamples(OF_WANDB)
        self._files: list[NamedFiles] = []
        self._media: list[tuple[NamedFiles, str]] = []
        self._left_out: Counter[tuple[str, str]] = Counter()

    @property
    def has_steps(self) -> bool:
        """Whether something was logged."""
        return bool(self._steps.steps())

    def begin(self, folder: Path) -> None:
        """Begin with the records of another file.

        Args:
            folder: The folder that it lies in.
        """
        self._part += 1
        self._exit_code = None
        self._files.append(NamedFiles(folder / "files", folder))

    def add(self, record: Any) -> None:
        """Take in a record."""
        kind = record.WhichOneof("record_type")
        handler = getattr(self, f"_on_{kind}", None)
        if handler is not None:
            handler(getattr(record, kind))
        elif kind in ("alert", "artifact", "use_artifact"):
            self._left_out[_LEFT_OUT[kind]] += 1

    def _on_run(self, run: Any) -> None:
        if self.identity is None:
            self.identity = (run.entity, run.project, run.run_id)
        self._name = run.display_name or self._name or run.run_id
        self._on_config(run.config)
        self._on_summary(run.summary)
        about = {"notes": run.notes, "tags": list(run.tags), "group": run.run_group, "jobType": run.job_type}
        self._about.update({name: value for name, value in about.items() if value})
        self._knows(hostname=run.host, gitRepository=run.git.remote_url, gitCommit=run.git.commit)
        if run.HasField("start_time"):
            self._seen(of_message(run.start_time))

    def _on_config(self, config: Any) -> None:
        _update(self._config, config.update)
        _remove(self._config, config.remove)

    def _on_summary(self, summary: Any) -> None:
        _update(self._summary, summary.update)
        _remove(self._summary, summary.remove)

    def _on_history(self, history: Any) -> None:
        row: dict[str, Any] = {}
        _update(row, history.item)
        number = history.step.num if history.HasField("step") else row.get("_step", 0)
        at = moment(row.get("_timestamp"))
        captions: dict[str, Any] = {}
        for medium in _media(row):
            self._files[-1].add(medium.path, number, logged_as=medium.name, is_shown=medium.is_shown)
            captions.update({f"{medium.name}/caption": medium.caption} if medium.caption else {})
        values = {name: value for name, value in row.items() if not name.startswith("_")}
        self._steps.add(number, {**values, **captions}, at, part=self._part)

    def _on_stats(self, stats: Any) -> None:
        values = {item.key: _value(item.value_json) for item in stats.item}
        self._samples.add(of_message(stats.timestamp), values)

    def _on_output(self, output: Any) -> None:
        self._on_output_raw(output)

    def _on_output_raw(self, output: Any) -> None:
        at = self._seen(of_message(output.timestamp))
        self._console.add(str(output.output_type), output.line, at)

    def _on_files(self, files: Any) -> None:
        for each in files.files:
            if each.path.startswith("media/"):
                self._media.append((self._files[-1], each.path))
            else:
                self._files[-1].add(each.path)

    def _on_environment(self, found: Any) -> None:
        self._knows(
            hostname=found.host,
            os=found.os,
            pythonVersion=found.python.removeprefix("CPython "),
            pythonExecutable=found.executable,
            command=" ".join([found.program, *found.args]).strip(),
            cpuCount=found.cpu_count_logical or found.cpu_count,
            gpuType=found.gpu_type,
            gpuCount=found.gpu_count,
            gitRepository=found.git.remote_url,
            gitCommit=found.git.commit,
        )

    def _on_exit(self, ended: Any) -> None:
        self._exit_code = ended.exit_code

    def _seen(self, at: datetime | None) -> datetime | None:
        if at is not None:
            self._times.append(at)
        return at

    def _knows(self, **facts: Any) -> None:
        self._environment.update({name: value for name, value in facts.items() if value})

    def imported(self, folder: Path) -> ImportedRun:
        """Return the run.

        Args:
            folder: Where it lies.
        """
        assert self.identity is not None
        self._add_unlogged_media()
        times = [*self._times, *filter(None, [self._steps.last_time()])]
        list(_media(self._summary))  # what names a file is no value
        return ImportedRun(
            source="wandb",
            identity=self.identity,
            project=self.identity[1] or None,
            name=self._name or self.identity[2],
            folder=folder,
            config={**self._about, **_without_private(self._config)},
            environment=self._environment,
            started_at=min(times, default=None),
            ended_at=max(times, default=None),
            state=self._state(),
            error=f"wandb recorded exit code {self._exit_code}" if self._exit_code else None,
            steps=self._steps.steps(),
            console=self._console.texts(),
            samples=self._samples.samples(),
            files=[each for files in self._files for each in files.files()],
            summary=_without_private(self._summary),
            problems=self._all_problems(folder.name),
        )

    def _add_unlogged_media(self) -> None:
        """Add files of what was logged whose record is torn; the name of an image's file tells its name and step."""
        for files, path in self._media:
            if not files.knows(path):
                named = _MEDIA_FILE.fullmatch(path)
                step, name = (int(named["step"]), named["name"]) if named else (None, "")
                files.add(path, step, logged_as=name, is_shown=named is not None)

    def _state(self) -> RunState:
        if self._exit_code is None:
            return "unknown"
        return "failed" if self._exit_code else "complete"

    def _all_problems(self, what: str) -> Sequence[Problem]:
        return [
            *self.problems,
            *self._steps.problems(what),
            *self._samples.problems(what),
            *(problem for files in self._files for problem in files.problems()),
            *(
                Problem(what, f"not taken in: {count(number, noun)}{more}", is_left_out=True)
                for (noun, more), number in sorted(self._left_out.items())
            ),
        ]


_MEDIA_FILE = re.compile(r"media/images/(?P<name>.+)_(?P<step>\d+)_[0-9a-f]+\.\w+")
_LEFT_OUT = {
    "alert": ("alert", ""),
    "artifact": ("artifact", " whose files lie in wandb's own folder"),
    "use_artifact": ("artifact", " that it used"),
}


def _update(target: dict[str, Any], items: Any) -> None:
    """Set values by their path in a mapping."""
    for item in items:
        *outer, name = item.nested_key or [item.key]
        place = target
        for each in outer:
            inner = place.get(each)
            if not isinstance(inner, dict):
                inner = place[each] = {}
            place = inner
        place[name] = _value(item.value_json)


def _remove(target: dict[str, Any], items: Any) -> None:
    for item in items:
        *outer, name = item.nested_key or [item.key]
        place: Any = target
        for each in outer:
            place = place.get(each) if isinstance(place, dict) else None
        if isinstance(place, dict):
            place.pop(name, None)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


@dataclass(frozen=True)
class _Medium:
    """A file that a value names.

    Attributes:
        name: What it was logged as.
        path: Of the file.
        caption: What stands below it.
        is_shown: Whether it is no part of another one, as masks are.
    """

    name: str
    path: str
    caption: Any = None
    is_shown: bool = True


def _media(values: dict[str, Any], before: str = "") -> Iterator[_Medium]:
    """Yield the files that values name, and take these values away."""
    for name, value in list(values.items()):
        if not isinstance(value, dict):
            continue
        if isinstance(value.get("_type"), str) and ("path" in value or "filenames" in value):
            del values[name]
            yield from _named_by(value, f"{before}{name}")
        else:
            yield from _media(value, f"{before}{name}/")


def _named_by(value: dict[str, Any], name: str) -> Iterator[_Medium]:
    """Yield the files that one value names: its own, one or several, and those of its masks and boxes."""
    if isinstance(path := value.get("path"), str):
        yield _Medium(name, path, value.get("caption"))
    filenames, captions = value.get("filenames"), value.get("captions")
    for number, path in enumerate(filenames if isinstance(filenames, list) else ()):
        caption = captions[number] if isinstance(captions, list) and number < len(captions) else None
        if isinstance(path, str):
            yield _Medium(f"{name}/{number}", path, caption)
    further = {key: found for key, found in value.items() if isinstance(found, dict)}
    yield from (replace(each, caption=None, is_shown=False) for each in _media(further, f"{name}/"))


def _without_private(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if not name.startswith("_")}
