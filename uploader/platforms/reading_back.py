"""What a platform can show of a run, in the words in which it is compared with what was sent there.

A delivery leaves items on a platform (`Planning.items`), and its client reads items back (`Readable`, `Downloading`).
An item has a kind and a key, which identify it, and a value, whose fields are compared one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from uploader.platforms.base import RunIdentity

ItemKind = Literal[
    "registration",
    "epoch",
    "console",
    "results",
    "plots",
    "checkpoint",
    "completion",
    "media",
    "detail",
    "conversion",
    "dataset",
    "event",
]
"""An `event` is one of which nobody can say what it leaves on a platform, because it is damaged. The key of a `detail`
is one that a person may want, or `dataset`: the one that the model names."""
LISTED: frozenset[ItemKind] = frozenset({"media", "conversion", "dataset"})
"""Kinds that stand in lists beside the model, each of which takes a request of its own (`Listing`)."""
Place = tuple[ItemKind, str]
"""What identifies an item: its kind, and its key within that."""


@dataclass(frozen=True)
class Item:
    """One thing that a platform has of a run once something was delivered.

    Attributes:
        kind: What it is.
        key: Which of them: the epoch's number, the chunk's id; "" where there is one.
        value: Its fields as they were sent. A tuple in the place of a value lists those that it may have. None: what
            was there under this key is no longer expected.
        is_lasting: Whether the first of its place stays, and later ones change nothing there.
    """

    kind: ItemKind
    key: str
    value: Mapping[str, Any] | None
    is_lasting: bool = False


@dataclass(frozen=True)
class Shown:
    """What a platform shows of a run.

    Attributes:
        items: The values by place; several where it shows more than one thing under one key.
        fields: By kind, the fields that this API shows of any such item. It may show further ones. A kind that is
            absent is not shown at all.
        untold: By kind that is not shown, why.
        weights: By key of a checkpoint, what `download` takes; it may hold a signed URL.
        absence: Why there is nothing: the platform has no such model. None if it has.
        times: By place, when what it tells of began or ended, where the platform keeps what it is told of that.
        arrived_at: When the first of the run arrived there. A time after this may be one that the platform corrected.
        lists: What `read_lists` takes; None where the platform has no such lists.
    """

    items: Mapping[Place, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    fields: Mapping[ItemKind, frozenset[str]] = field(default_factory=dict)
    untold: Mapping[ItemKind, str] = field(default_factory=dict)
    weights: Mapping[str, object] = field(default_factory=dict, repr=False)
    absence: str | None = None
    times: Mapping[Place, str] = field(default_factory=dict)
    arrived_at: str | None = None
    lists: object = field(default=None, repr=False)


@runtime_checkable
class Readable(Protocol):
    """A client of a platform that shows what it has of a run."""

    def read_back(self, identity: RunIdentity) -> Shown:
        """Return what the platform shows of a run.

        Raises:
            DeliveryError: It could not be read now, or not with this key, or not on a server of this age.
        """
        ...


@runtime_checkable
class Listing(Protocol):
    """A client of a platform that has more of a run than its model shows."""

    def read_lists(self, identity: RunIdentity, shown: Shown, places: Collection[Place]) -> Shown:
        """Return what is shown with what stands in lists beside the model.

        Args:
            identity: The run.
            shown: From `read_back`.
            places: The items of the kinds `LISTED` that are looked for; lists without any are not asked for.

        Raises:
            DeliveryError: They could not be read now. What this key or this server does not show is untold instead.
        """
        ...


@runtime_checkable
class Downloading(Protocol):
    """A client of a platform that gives checkpoints back."""

    def download(self, weights: object, size: int, write: Callable[[bytes], object]) -> None:
        """Read a checkpoint back, block by block.

        Args:
            weights: From `Shown.weights`.
            size: How many bytes are expected, by which one of several files is chosen.
            write: Called with each block.

        Raises:
            DeliveryError: It is not to be had now.
        """
        ...
