"""What has changed in the store since it was opened, in memory: so that pages that are open are told only what is new.

Triggers of the writing connection report each change of a row, whichever statement made it. They are temporary, so the
file has none. A commit and the number under which its changes are known become visible together.
"""

from __future__ import annotations

import itertools
import secrets
import sqlite3
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

Part = Literal["model", "heard", "epoch", "console", "gone", "turned"]
"""What has changed of a model: what is told of it as a whole, only when it was heard of, an epoch, a piece of text; it
was deleted; or its state turned with time."""

_KEPT = 20_000

# Every column but those that change whenever something is heard of a training.
_MODEL = (
    "status started_at completed_at epochs device train_args environment model_info results class_names plots error "
    "metadata properties"
)
_HUB_MODEL = "config dataset lineage meta started_at"
_TOLD = "SELECT tell_change"


class Change(NamedTuple):
    """One change.

    Attributes:
        number: Of its commit.
        model: The model's id; HUB's have `hub/` before it.
        part: What has changed.
        row: The number of the epoch, or the id of the piece of text; of a model that is gone, its address.
        is_new: Whether that was not there before.
    """

    number: int
    model: str
    part: Part
    row: Any
    is_new: bool


class ChangeLog:
    """The changes of one store. Its methods may be called by several threads at once."""

    def __init__(self) -> None:
        self.start = secrets.token_hex(6)
        """Names this log: the numbers of another are none of this one."""
        self._lock = threading.Lock()
        self._number = 0
        self._forgotten = 0  # the newest number of which not all changes are kept
        self._last: dict[str, int] = {}
        self._gone: dict[str, str] = {}
        self._kept: deque[Change] = deque()
        self._pending: list[tuple[str, Part, Any, bool]] = []

    # By the writer

    def watch(self, connection: sqlite3.Connection) -> None:
        """Have a connection's changes reported here."""
        connection.execute("PRAGMA temp_store=MEMORY")  # where triggers that are temporary stand
        connection.create_function("tell_change", 4, self._tell)
        connection.executescript("".join(_triggers()))

    def begin(self) -> None:
        """Forget what was reported of a transaction that has not been committed."""
        self._pending.clear()

    @contextmanager
    def committing(self) -> Iterator[None]:
        """Make what was reported known, if the block, which commits it, does not raise."""
        with self._lock:
            yield
            self._publish(self._pending)
            self._pending = []

    # By readers

    def turn(self, models: Iterable[str]) -> None:
        """Make known that the state of some models has turned with time."""
        with self._lock:
            self._publish([(model, "turned", None, False) for model in models])

    @contextmanager
    def held(self) -> Iterator[int]:
        """Yield the number of the newest commit. None becomes visible while the block runs."""
        with self._lock:
            yield self._number

    @property
    def number(self) -> int:
        """The number of the newest commit that has changed something."""
        return self._number

    def last(self, model: str) -> int:
        """Return the number of a model's newest change, 0 for none."""
        return self._last.get(model, 0)

    def changed(self, since: int) -> tuple[list[str], list[str]]:
        """Return the models that have changed after a number, and the addresses of those that are gone."""
        with self._lock:
            if since >= self._forgotten:
                newest = itertools.takewhile(lambda change: change.number > since, reversed(self._kept))
                ids = list(dict.fromkeys(change.model for change in newest))
            else:
                ids = [model for model, number in self._last.items() if number > since]
        return [model for model in ids if model not in self._gone], [
            self._gone[model] for model in ids if model in self._gone
        ]

    def of(self, model: str, since: int) -> list[Change] | None:
        """Return a model's changes after a number, the newest first, or None if they are not all known any more."""
        with self._lock:
            if since < self._forgotten:
                return None
            found = []
            for change in reversed(self._kept):
                if change.number <= since:
                    break
                if change.model == model:
                    found.append(change)
            return found

    def _tell(self, model: str, part: Part, row: Any, is_new: int) -> None:
        self._pending.append((model, part, row, bool(is_new)))

    def _publish(self, told: list[tuple[str, Part, Any, bool]]) -> None:
        if not told:
            return
        self._number += 1
        gone = {model: row for model, part, row, _ in told if part == "gone"}
        self._gone |= gone
        self._last |= dict.fromkeys((model for model, *_ in told), self._number)
        # Of a model that is gone, a row may have been deleted for each of its epochs and pieces of text.
        self._kept.extend(Change(self._number, *each) for each in told if each[0] not in gone or each[1] == "gone")
        while len(self._kept) > _KEPT:
            self._forgotten = self._kept.popleft().number


def _triggers() -> Iterator[str]:
    """Yield the triggers' statements; tables and columns are those of `store_schema`."""
    yield from _of_models("models", "", "owner || '/' || OLD.project || '/' || OLD.slug", _MODEL)
    yield from _of_models("hub_models", "'hub/' || ", "id", _HUB_MODEL)
    for table in ("runs", "media", "checkpoints", "exports"):
        for event, row in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")):
            yield _trigger(table, event, f"{_TOLD}({row}.model_id, 'model', NULL, 0)")
    for event in ("INSERT", "UPDATE"):
        yield _trigger("hub_weights", event, f"{_TOLD}('hub/' || NEW.model_id, 'model', NULL, 0)")
    yield from _of_rows("epochs", "", "data timestamp is_evaluation", "'epoch'", "epoch")
    yield from _of_rows("hub_epochs", "'hub/' || ", "metrics timestamp", "'epoch'", "epoch")
    yield from _of_rows("console", "", "data", "'console'", "chunk_id")
    yield _trigger("console", "DELETE", f"{_TOLD}(OLD.model_id, 'console', OLD.chunk_id, 0)")


def _of_models(table: str, prefix: str, address: str, columns: str) -> Iterator[str]:
    part = f"CASE WHEN {_differ(columns)} THEN 'model' ELSE 'heard' END"
    yield _trigger(table, "INSERT", f"{_TOLD}({prefix}NEW.id, 'model', NULL, 1)")
    yield _trigger(table, "UPDATE", f"{_TOLD}({prefix}NEW.id, {part}, NULL, 0)")
    yield _trigger(table, "DELETE", f"{_TOLD}({prefix}OLD.id, 'gone', {prefix}OLD.{address}, 0)")


def _of_rows(table: str, prefix: str, columns: str, part: str, row: str) -> Iterator[str]:
    yield _trigger(table, "INSERT", f"{_TOLD}({prefix}NEW.model_id, {part}, NEW.{row}, 1)")
    update = f"{_TOLD}({prefix}NEW.model_id, {part}, NEW.{row}, 0)"
    yield _trigger(table, "UPDATE", update, f"WHEN {_differ(columns)}")


def _differ(columns: str) -> str:
    return " OR ".join(f"OLD.{name} IS NOT NEW.{name}" for name in columns.split())


def _trigger(table: str, event: str, statement: str, when: str = "") -> str:
    name = f"{table}_{event.lower()}_told"
    return f"CREATE TEMP TRIGGER {name} AFTER {event} ON main.{table} {when} BEGIN {statement}; END;\n"
