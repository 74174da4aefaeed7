"""The kinds of events, and the roles of checkpoints: the one place that says what the journal has to know of each.

A kind that is not in the table is recorded, counted and kept like any other; nothing supersedes it and it is never
evicted. So a new kind takes a row here only if it is to be treated otherwise, and beside that the code that records it
and the planner of each platform that is sent it.

SQL takes the names from here, as bound parameters or as text: SQLite takes a partial index for a text only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

REGISTRATION = "training_started"
"""Also the kind of the delivery that makes a run known to a platform."""
EPOCH = "epoch_end"
CONSOLE = "console_output"
PROGRESS = "training_progress"
SYSTEM_METRICS = "system_metrics"
MODEL_SAVED = "model_saved"
"""A save of the trainer's, which its checkpoints follow."""
CHECKPOINT = "checkpoint"
"""The bytes of one file, once they are in the journal. Also the kind of a delivery of them."""
COMPLETE = "training_complete"
FAILED = "training_failed"
INTERRUPTED = "interrupted"
"""The training's process died before its end."""
GIVEN_UP = "given_up"
"""What of a run was given up, and why."""
BATCH = "batch"
"""The batch size that is trained with, where it is another one than was asked for."""
SUMMARY = "summary"
"""What a run says of itself as a whole, each time that changes; platforms are told the last of it with the end."""
MEDIA: Final = "media"
"""An image or a plot that a loop has logged; only platforms that show such are sent it."""
USAGE = "usage"
"""Written by earlier versions; never delivered."""

DETAIL = "model_detail"
"""What a person wants a platform to say of the run's model; the key is the field's name."""
CONVERSION: Final = "conversion"
"""A format into which a person wants a platform to convert the run's model; the key is the format and its arguments."""

DATASET = "dataset"
"""A dataset, by the name that is the key, that a person wants on a platform, and the run's model to name."""

EPOCHS_TOGETHER = "metrics"
"""Kind of a delivery, and of no event: many epochs at once, by their numbers, as `metrics` of its body."""

RunState = Literal["running", "silent", "finished", "cancelled", "failed", "interrupted"]
GOING_ON: frozenset[RunState] = frozenset({"running", "silent"})
"""States of trainings that go on, or may: more of them may come in."""
SupersededBy = Literal["session", "kind", "key", "role"]


@dataclass(frozen=True)
class Kind:
    """What the journal has to know of a kind of events.

    Attributes:
        name: As it stands in `events.kind`.
        is_milestone: Whether it is one of the training's own words on the state of its run: the last one counts. Its
            delivery waits for all before it, and all after it wait for it.
        tells_state: The state that it leaves its run in, where it tells one.
        superseded_by: What of a newer session makes one of an older session old, where anything does: that session's
            mere beginning, an event of the same kind, one of the same kind and key, or a checkpoint of a role that the
            destination takes.
        evicted_as: How a loss of such events is called, in the plural, where they may go to make room; else None.
        is_disclosed: Whether its content is in every proof, as a result.
        is_for_platforms: Whether it is planned. One that is not does not keep its run from having arrived whole.
        is_intent: Whether it is nothing that a training tells, but what a person wants done on a platform.
        waits_for_end: Whether it is not delivered while its run is trained.
    """

    name: str
    is_milestone: bool = False
    tells_state: RunState | None = None
    superseded_by: SupersededBy | None = None
    evicted_as: str | None = None
    is_disclosed: bool = False
    is_for_platforms: bool = True
    is_intent: bool = False
    waits_for_end: bool = False


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(REGISTRATION, is_milestone=True, tells_state="running", superseded_by="kind"),
        Kind(EPOCH, superseded_by="key", is_disclosed=True),
        Kind(CONSOLE, evicted_as="console chunks"),
        Kind(PROGRESS, superseded_by="session"),
        Kind(SYSTEM_METRICS, superseded_by="session"),
        Kind(MODEL_SAVED),
        Kind(CHECKPOINT, superseded_by="role", is_disclosed=True),
        Kind(COMPLETE, is_milestone=True, tells_state="finished", superseded_by="session", is_disclosed=True),
        Kind(FAILED, is_milestone=True, tells_state="failed", superseded_by="session", is_disclosed=True),
        Kind(INTERRUPTED, tells_state="interrupted", superseded_by="session", is_disclosed=True),
        Kind(GIVEN_UP, is_disclosed=True),
        Kind(BATCH),
        Kind(MEDIA, evicted_as="images and plots"),
        Kind(SUMMARY, is_for_platforms=False),
        Kind(USAGE, is_for_platforms=False),
        Kind(DATASET, superseded_by="key", is_intent=True),
        Kind(DETAIL, superseded_by="key", is_intent=True),
        Kind(CONVERSION, superseded_by="key", is_intent=True, waits_for_end=True),
    )
}

MILESTONES = tuple(kind.name for kind in KINDS.values() if kind.is_milestone)
STATES = tuple(kind.name for kind in KINDS.values() if kind.tells_state)
EVICTABLE = tuple(kind.name for kind in KINDS.values() if kind.evicted_as)
BY_KEY = tuple(kind.name for kind in KINDS.values() if kind.superseded_by == "key")
DISCLOSED = tuple(kind.name for kind in KINDS.values() if kind.is_disclosed)
INTENTS = tuple(kind.name for kind in KINDS.values() if kind.is_intent)
AFTER_END = tuple(kind.name for kind in KINDS.values() if kind.waits_for_end)
NOT_FOR_PLATFORMS = tuple(kind.name for kind in KINDS.values() if not kind.is_for_platforms)

LAST = "last"
"""Role of the checkpoint that a training goes on from."""
BEST = "best"
"""Role of the checkpoint that is a run's result so far. It is evicted after any `last`."""
FINAL = "final"
"""Role of the checkpoint that a training ends with. It is never evicted, and superseded by none but another one."""

TRAINED, VALIDATED, EVALUATED = "train/", "val/", "metrics/"
"""How the metrics of an epoch begin that tell its losses in training, its losses in validation, and how good it is.

Views count epochs and take no parameters, so this of a trainer is known here; `evaluations.py` goes by it.
"""


def of(name: str) -> Kind:
    """Return what is to be known of a kind."""
    return KINDS.get(name) or Kind(name)


def listed(names: Iterable[str]) -> str:
    """Return names as text of an SQL list: `'last', 'best'`."""
    return ", ".join(f"'{name}'" for name in names)
