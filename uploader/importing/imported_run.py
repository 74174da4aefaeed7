"""A run as a reader found it in a folder: plain values, the same ones whenever the same files are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from journal.kinds import BEST, FINAL, LAST

RunState = Literal["complete", "failed", "running", "unknown"]
"""`unknown`: its process ended without a word, or nothing tells."""
CHECKPOINT_ROLES = (LAST, BEST, FINAL)
IMAGE, OTHER = "image", "other"
"""Roles of files that are no weights."""


@dataclass(frozen=True)
class FoundRun:
    """A run that lies in a folder, before it is read.

    Attributes:
        source: Name of the reader that found it.
        place: Its folder, or the file that holds it.
        within: Which of the runs in that place it is, where there may be several; "" otherwise.
        is_certain: Whether the place can be nothing else. An uncertain find yields to another reader's certain one.
        is_whole_folder: Whether nothing below its folder can be another run.
    """

    source: str
    place: Path
    within: str = ""
    is_certain: bool = True
    is_whole_folder: bool = True


@dataclass(frozen=True)
class Problem:
    """Something that does not come in.

    Attributes:
        what: The file, or the part of one.
        why: What is the matter with it.
        is_left_out: Whether nothing is wrong with it: a run has no place for such values.
    """

    what: str
    why: str
    is_left_out: bool = False


@dataclass(frozen=True)
class Step:
    """What was measured in one step, or epoch.

    Attributes:
        number: From 0.
        values: By name, as `run.log` takes them.
        at: When it was measured; None where the files do not tell.
        facts: Further members of its event, in the platform's words.
    """

    number: int
    values: Mapping[str, Any]
    at: datetime | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ConsoleText:
    """Text that was printed at once.

    Attributes:
        text: Whole lines, each with its end.
        at: When.
    """

    text: str
    at: datetime | None = None


@dataclass(frozen=True)
class RunFile:
    """A file of the run.

    Attributes:
        path: Where it is now.
        role: One of `CHECKPOINT_ROLES` for weights, and IMAGE, which are taken in; OTHER for what is only named.
        step: The step that it belongs to; None where nothing tells.
        is_published: Whether a platform that shows one model for a run is to show this one.
        is_best: Whether these are the run's best weights.
        name: What an image was logged as; "" for its file's name.
        span: First byte and number of bytes of an image that lies within a larger file.
    """

    path: Path
    role: str
    step: int | None = None
    is_published: bool = True
    is_best: bool = False
    name: str = ""
    span: tuple[int, int] | None = None

    @property
    def shown_as(self) -> str:
        """The name of an image."""
        return self.name or self.path.name


@dataclass(frozen=True)
class MachineSample:
    """How busy the machine was at one moment.

    Attributes:
        at: When.
        system: What our own recordings measure, too, in their form.
        values: What else was measured, by the tracker's names.
    """

    at: datetime
    system: Mapping[str, Any]
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ImportedRun:
    """A run as its files tell of it. No value may depend on when or where it is read.

    Attributes:
        source: Name of the reader.
        identity: What tells the run from all others of the source, and stays the same when its folder grows or moves.
        project: As its tracker calls it.
        name: As its tracker calls it.
        folder: Where it lies.
        config: Its configuration, which may be nested.
        environment: Where it ran, in the words of the platform's `training_started`: `hostname`, `gitCommit`, ….
        started_at: When it began.
        ended_at: When it was heard of last.
        state: How it ended, if it did.
        error: Why it failed.
        steps: One for each number, in ascending order.
        steps_from: Name of the file that they are from; "" for the source.
        console: What it printed, in order.
        samples: How busy its machine was, in order.
        files: Its checkpoints and other files.
        summary: What was said of the run as a whole.
        results: Members of the payload of its end, where its reader knows more than steps and summary tell.
        problems: What could not be read.
        known_as: The run's uuid by our own run file; it is another run's if what both tell of differs.
        beside: Uuid of the run by our own run file, where that run was recorded by its program, and what is read here
            is what the same program wrote with another library.
        is_recorded_in: The journal that the run file names.
        may_name_owner: Whether a project `one/two` is the project `two` of the owner `one`.
        may_be_recorded: Whether our callbacks may have recorded some of it, so that it is a run that we know.
    """

    source: str
    identity: tuple[str, ...]
    project: str | None
    name: str | None
    folder: Path
    config: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    started_at: datetime | None = None
    ended_at: datetime | None = None
    state: RunState = "unknown"
    error: str | None = None
    steps: Sequence[Step] = ()
    steps_from: str = ""
    console: Sequence[ConsoleText] = ()
    samples: Sequence[MachineSample] = ()
    files: Sequence[RunFile] = ()
    summary: Mapping[str, Any] = field(default_factory=dict)
    results: Mapping[str, Any] = field(default_factory=dict)
    problems: Sequence[Problem] = ()
    known_as: str | None = None
    beside: str | None = None
    is_recorded_in: Path | None = None
    may_name_owner: bool = False
    may_be_recorded: bool = False
