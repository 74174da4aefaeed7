"""What the events of TensorBoard say, one after the other."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from journal.quantities import count
from uploader.importing.imported_run import IMAGE, ImportedRun, Problem, RunFile
from uploader.importing.readers.collected_steps import CollectedSteps
from uploader.importing.readers.moments import moment
from uploader.importing.readers.named_files import files_below, run_file
from uploader.importing.readers.tensorboard_library import TensorBoardLibrary
from uploader.run_folder.run_file import KnownRun, journal_of

_RESTART, _FAILURE = 1, 2  # SessionLog.START, hparams' STATUS_FAILURE
_NOUNS = {
    "images": "image that cannot be read",
    "histograms": "histogram",
    "audio": "sound",
    "pr_curves": "precision-recall curve",
    "graph_def": "graph",
    "meta_graph_def": "graph",
    "log_message": "message",
    "tagged_run_metadata": "profile",
}
_SILENT = (None, "file_version", "source_metadata", "session_log")
"""Kinds of events that say nothing of a run."""


@dataclass(frozen=True)
class StoredEvent:
    """Where an event is.

    Attributes:
        file: It holds it.
        begin: The first byte of its body there.
        body: Its bytes.
    """

    file: Path
    begin: int
    body: bytes

    def span_of(self, part: bytes) -> tuple[int, int]:
        """Return where a part of its body is, which stands there as it is."""
        return self.begin + self.body.index(part), len(part)


class TensorBoardRun:
    """A run that is put together from its events."""

    def __init__(self, library: TensorBoardLibrary) -> None:
        self.problems: list[Problem] = []
        self._library = library
        self._config: dict[str, Any] = {}
        self._summary: dict[str, Any] = {}
        self._steps = CollectedSteps()
        self._first: float | None = None
        self._last = 0.0
        self._has_failed = False
        self._images: dict[tuple[str, int], RunFile] = {}
        self._left_out: Counter[tuple[str, str]] = Counter()
        self._before = ""
        self._is_of_hparams = False
        self._of_hparams: dict[tuple[str, str], list[Any]] = {}

    def begin(self, part: str) -> None:
        """Begin with the events of another file.

        Args:
            part: Name of the folder within the run's, "" for its own.
        """
        self._before = part
        self._is_of_hparams = False

    def add(self, event: Any, stored: StoredEvent) -> None:
        """Take in an event.

        Args:
            event: It.
            stored: Where it is.
        """
        if math.isfinite(event.wall_time) and event.wall_time > 0:
            self._first = min(self._first or event.wall_time, event.wall_time)
            self._last = max(self._last, event.wall_time)
        kind = event.WhichOneof("what")
        if kind == "session_log" and event.session_log.status == _RESTART and event.step > 0:
            self._steps.forget_from(event.step)
            self._images = {key: file for key, file in self._images.items() if key[1] < event.step}
        elif kind == "summary":
            for value in event.summary.value:
                self._add_value(value, event, stored)
        elif kind not in _SILENT:
            self._left_out[kind, ""] += 1

    def _add_value(self, value: Any, event: Any, stored: StoredEvent) -> None:
        plugin = value.metadata.plugin_data.plugin_name
        if plugin == "hparams":
            self._is_of_hparams = True
            self._add_hparams(value.metadata.plugin_data.content)
            return
        if images := self._library.images(value):
            self._add_images(images, self._name(value.tag), event.step, stored)
            return
        kind, measured = self._library.measured(value)
        if measured is None:
            self._left_out[kind, value.tag] += 1
            return
        told = (event.step, {self._name(value.tag): measured}, moment(event.wall_time))
        if self._is_of_hparams and self._before:
            self._of_hparams.setdefault((self._before, value.tag), []).append(told)
        else:
            self._steps.add(*told)

    def _add_images(self, images: Sequence[bytes], name: str, step: int, stored: StoredEvent) -> None:
        for number, content in enumerate(images):
            shown_as = name if len(images) == 1 else f"{name}/{number}"
            file = RunFile(stored.file, IMAGE, step, name=shown_as, span=stored.span_of(content))
            self._images[shown_as, step] = file

    def _sort_hparams(self) -> None:
        """Take in what folders with hyperparameters have: `add_hparams` writes each result there, and only once.

        Others write hyperparameters into the file of all metrics, as Lightning does; there, they change nothing.
        """
        for (_, tag), told in self._of_hparams.items():
            if len(told) == 1:
                self._summary[tag] = next(iter(told[0][1].values()))
            else:
                for each in told:
                    self._steps.add(*each)
        self._of_hparams.clear()

    def _add_hparams(self, content: bytes) -> None:
        found = self._library.hparams(content)
        if found is None:
            self.problems.append(Problem("hyperparameters", "cannot be read: they are no message of TensorBoard's"))
            return
        config, status = found
        self._config.update(config)
        self._has_failed = self._has_failed or status == _FAILURE

    def _name(self, tag: str) -> str:
        """Return the name of a tag; `add_scalars("loss", {"a": …})` writes `loss` into the folder `loss_a`."""
        if not self._before:
            return tag
        of_group = tag.replace("/", "_") + "_"
        return (
            f"{tag}/{self._before[len(of_group) :]}" if self._before.startswith(of_group) else f"{self._before}/{tag}"
        )

    def imported(self, folder: Path, identity: tuple[str, ...]) -> ImportedRun:
        """Return the run.

        Args:
            folder: Where it lies.
            identity: What tells it from others.
        """
        self._sort_hparams()
        known = KnownRun.read(folder)
        checkpoints = files_below(folder / "checkpoints", folder, self.problems)  # Lightning's, beside its events
        return ImportedRun(
            source="tensorboard",
            identity=identity,
            project=None,
            name=folder.resolve().name,
            folder=folder,
            config=self._config,
            started_at=moment(self._first) if self._first else None,
            ended_at=moment(self._last) if self._last else None,
            state="failed" if self._has_failed else "unknown",
            error="TensorBoard's hyperparameters say that it failed" if self._has_failed else None,
            steps=self._steps.steps(),
            files=[*(run_file(each) for each in checkpoints), *self._images.values()],
            summary=self._summary,
            beside=known.run if known else None,
            is_recorded_in=journal_of(folder),
            problems=[*self.problems, *self._steps.problems(folder.name), *self._further(folder.name)],
        )

    def _further(self, what: str) -> Sequence[Problem]:
        return [
            Problem(
                f"{what}: {tag}" if tag else what,
                f"not taken in: {count(number, _NOUNS.get(kind, 'value'))}",
                is_left_out=True,
            )
            for (kind, tag), number in sorted(self._left_out.items())
        ]
