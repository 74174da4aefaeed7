"""What a kind of training tells of one of them, before it has a cursor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from uploader.dashboard.columns import number
from uploader.dashboard.shown import Action, Download, Number, Picture, RunLine, RunNews, Trend
from uploader.server.storage.change_log import Change
from uploader.server.storage.statements import Rows

CONSOLE_CHUNKS = 100
"""Of how many pieces of text, at most, a page shows the end of a console."""


class Line(NamedTuple):
    """A line of the list, with the model's id in the log of changes, when it was made, and when its state turns."""

    model: str
    made_at: str
    line: RunLine
    turns_at: str | None


@dataclass(frozen=True)
class Told:
    """What is told of a training, and the number of the last epoch that was."""

    news: RunNews
    beyond: int
    turns_at: str | None


class Kind(Protocol):
    """A kind of training that this server keeps. Ids are those of the log of changes."""

    def id_of(self, rows: Rows, key: str) -> str | None:
        """Return the id of the model with this key, or None."""

    def lines(self, rows: Rows, ids: Iterable[str] | None) -> Iterator[Line]:
        """Yield the lines of models, all of them for None; those that are not there are left out."""

    def trend(self, rows: Rows, model: str) -> Trend | None:
        """Return how the main metric of a model went."""

    def whole(self, rows: Rows, model: str) -> Told:
        """Return all that a page tells of a model, of the console the end."""

    def change(self, rows: Rows, model: str, changes: Sequence[Change], beyond: int) -> Told | None:
        """Return what these changes have made new, or None if all has to be told again."""

    def pictures(self, rows: Rows, model: str) -> list[Picture]:
        """Return a model's plots and images."""

    def chunks_after(self, rows: Rows, model: str, chunk: Any, most: int) -> Sequence[Any]:
        """Return the next pieces of a model's console."""

    def file(self, rows: Rows, model: str, sha256: str) -> Download | None:
        """Return what is known of a checkpoint of this content, or None."""

    def act(self, rows: Rows, model: str, action: Action, value: Any) -> None:
        """Do something to a model."""


def numbers(told: Any) -> dict[str, Number]:
    """Return the finite numbers of what may be a mapping, by name."""
    if not isinstance(told, Mapping):
        return {}
    return {name: value for name, value in told.items() if number(value) is not None}


def tags_of(told: Any) -> list[str]:
    """Return what may be a list of tags."""
    return [str(tag) for tag in told] if isinstance(told, list) else []
