"""What the dashboard shows of runs, whoever knows them: a platform's store, a journal, a mirror or a pack.

Epochs and steps count from 0 here; pages count epochs from 1, and name a loop's steps by their own numbers. Times are
ISO 8601 in UTC. A number that is not finite is None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Number = float | int | None

Form = Literal["text", "time", "milliseconds", "bytes", "code", "link"]
"""How a page writes a fact's value; a link is an address on another server."""

Action = Literal["stop", "rename", "tags", "note", "delete"]
"""What a person may do to a run: `rename` and `note` take a text, `tags` a list of texts."""


@dataclass(frozen=True)
class RunLine:
    """A run in the list of runs.

    Attributes:
        key: Names it to its source, as long as it exists; its page is `/runs/KEY`, so slashes may be in it.
        name: Its name.
        project: Its project, or None.
        state: In a word, such as `running`, `completed` or `failed`.
        trouble: What is wrong, in words; None while nothing is.
        tags: As people gave them.
        started_at: When its training began, or None.
        ended_at: When it ended, or None.
        heard_at: When the newest that is known of it happened, or None.
        seconds: How long it was trained until then, without the pauses between its sessions, or None.
        epochs_done: How many epochs were trained.
        epochs_planned: How many there are to be, or None; None of a loop whose steps are smaller (`columns.planned`).
        step: The number of its last step, of a loop that counts steps; None where it counts epochs.
        metrics: The values of its end, or of its newest epoch, by their names.
        arguments: What it is trained with, by name. In a change of the list, empty where they are as they were.
    """

    key: str
    name: str
    project: str | None
    state: str
    trouble: str | None = None
    tags: Sequence[str] = ()
    started_at: str | None = None
    ended_at: str | None = None
    heard_at: str | None = None
    seconds: float | None = None
    epochs_done: int = 0
    epochs_planned: int | None = None
    step: int | None = None
    metrics: Mapping[str, Number] = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def far(self) -> int:
        """How far it is, of what is planned: most loops count steps from 0, some from 1."""
        if self.step is None:
            return self.epochs_done
        return self.step if self.step == self.epochs_planned else self.step + 1


@dataclass(frozen=True)
class RunList:
    """The list of runs, or what has changed of it.

    Attributes:
        cursor: Where to go on from; see `RunSource.runs`.
        runs: The runs, the newest first; of a change, those that changed.
        gone: Keys of those that are not there any more.
        is_whole: Whether these are all runs, in place of what was told before, although only a change was asked for.
    """

    cursor: str
    runs: Sequence[RunLine]
    gone: Sequence[str] = ()
    is_whole: bool = False


@dataclass(frozen=True)
class Trend:
    """How one metric of a run went, for a small drawing.

    Attributes:
        metric: Its name.
        values: At most 60 of its values, evenly spaced.
    """

    metric: str
    values: Sequence[Number]


@dataclass(frozen=True)
class Columns:
    """Values by place: a row for each epoch, or each moment of the machine.

    Attributes:
        at: Where each row belongs: the number of its epoch, or Unix seconds.
        times: When each row happened, or empty where `at` says it.
        values: A column for each name, as long as `at`.
        took: How many milliseconds each row took, None where that is not known; or empty.
        arrived: When each row arrived, or empty.
        gaps: Where a row told of a column, but no finite number, by the column's name: a line does not go across.
    """

    at: Sequence[float] = ()
    times: Sequence[str | None] = ()
    values: Mapping[str, Sequence[Number]] = field(default_factory=dict)
    took: Sequence[Number] = ()
    arrived: Sequence[str | None] = ()
    gaps: Mapping[str, Sequence[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Fact:
    """Something a page says of a run under a label."""

    label: str
    value: Any
    form: Form = "text"


@dataclass(frozen=True)
class ValueLine:
    """Something of an epoch that is no finite number, in words."""

    epoch: int
    name: str
    value: str


@dataclass(frozen=True)
class CheckpointLine:
    """A checkpoint of a run.

    Attributes:
        name: Its file's name.
        size: In bytes, or None.
        sha256: Of its content, or None.
        epoch: After which it was saved, or None.
        state: In words, such as `final`, `superseded` or `missing`; empty for one that is simply there.
        saved_at: When it was saved, or None.
        arrived_at: When it arrived, or None.
        download: Where its bytes are: a path or an address of this server; None if they are not here.
    """

    name: str
    size: int | None = None
    sha256: str | None = None
    epoch: int | None = None
    state: str = ""
    saved_at: str | None = None
    arrived_at: str | None = None
    download: str | None = None


@dataclass(frozen=True)
class DeliveryLine:
    """A delivery of a run that is not over, or that was refused.

    Attributes:
        what: What is sent, in words.
        destination: Where to.
        state: In a word.
        reason: Why it has not arrived, or None.
        next_at: When it is tried again, or None.
    """

    what: str
    destination: str
    state: str
    reason: str | None = None
    next_at: str | None = None


@dataclass(frozen=True)
class DestinationLine:
    """A platform, or a mirror, that a run goes to.

    Attributes:
        name: Its address.
        standing: How far the run is there, in words.
        arrived: How many deliveries have arrived.
        left: How many have not.
        url: The run's page there, or None.
        proven: What reading it back or its signature has shown, in words; None if nobody has looked.
        proven_at: When that was, or None.
    """

    name: str
    standing: str
    arrived: int = 0
    left: int = 0
    url: str | None = None
    proven: str | None = None
    proven_at: str | None = None


@dataclass(frozen=True)
class RunFacts:
    """What a run's page tells beside its curves, its console and its pictures.

    Attributes:
        facts: What there is to say of it, the most important first.
        description: What people say of it, or an empty text.
        note: What somebody noted about it, or an empty text.
        arguments: What it is trained with.
        environment: What it is trained on.
        results: What its end told, or an empty mapping.
        checkpoints: Those that are known, the newest first.
        destinations: Where it goes; empty where that is not known.
        deliveries: Those that have not arrived, refused ones first; at most 100.
        best: The epoch of its best fitness, or None.
        evaluation: The values of the final evaluation, which is no epoch.
        others: What its epochs told that is no finite number, the newest first; at most some hundred.
        pictures: How many of its plots, images and logged plots `RunSource.pictures` has.
        actions: What a person may do to it here.
    """

    facts: Sequence[Fact] = ()
    description: str = ""
    note: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    results: Mapping[str, Any] = field(default_factory=dict)
    checkpoints: Sequence[CheckpointLine] = ()
    destinations: Sequence[DestinationLine] = ()
    deliveries: Sequence[DeliveryLine] = ()
    best: int | None = None
    evaluation: Mapping[str, Number] = field(default_factory=dict)
    others: Sequence[ValueLine] = ()
    pictures: int = 0
    actions: Sequence[Action] = ()


@dataclass(frozen=True)
class Progress:
    """What moves among the facts of a run with each epoch, or with each line that it prints.

    Attributes:
        facts: They take the place of the facts of the same labels.
        best: The epoch of its best fitness, or None if that has not moved.
        others: What the epochs that are new told that is no finite number, in place of what those epochs told before.
    """

    facts: Sequence[Fact] = ()
    best: int | None = None
    others: Sequence[ValueLine] = ()


@dataclass(frozen=True)
class RunNews:
    """What is new of a run since a cursor, or all of it.

    Attributes:
        cursor: Where to go on from; see `RunSource.news`.
        line: The run as in the list, if that has changed; None if it has not.
        facts: All facts, if any has changed; None if none has, except what `progress` tells.
        progress: What has moved of the facts, if these are not told; None if nothing has.
        epochs: The epochs that are new or were trained again.
        system: The samples of the machine that are new, by Unix seconds.
        console: Text to append.
        console_is_whole_tail: Whether `console` replaces what was there, since something before its end has changed.
        console_cut: Whether there is text before the first that was ever told; `RunSource.console` has it.
        is_whole: Whether this is all of it, in place of what was told before, although only what is new was asked for:
            the source has begun anew, or epochs have been taken back.
    """

    cursor: str
    line: RunLine | None = None
    facts: RunFacts | None = None
    progress: Progress | None = None
    epochs: Columns = Columns()
    system: Columns = Columns()
    console: str = ""
    console_is_whole_tail: bool = False
    console_cut: bool = False
    is_whole: bool = False


@dataclass(frozen=True)
class Picture:
    """A plot or an image of a run.

    Attributes:
        name: Its title, or the type of a trainer's plot, such as `pr_curve`.
        step: Of the epoch that it belongs to; None for one of the run's end.
        plot: A trainer's plot as it told it, or `{"x": [...], "y": {name: [...]}}`; None for an image.
        image: An image as a `data:` URL; None for a plot.
    """

    name: str
    step: int | None = None
    plot: Mapping[str, Any] | None = None
    image: str | None = None


@dataclass(frozen=True)
class Download:
    """A file to hand out.

    Attributes:
        name: Its file name.
        media_type: Such as `application/zip`.
        size: In bytes, or None if it is made on the way.
    """

    name: str
    media_type: str
    size: int | None = None
