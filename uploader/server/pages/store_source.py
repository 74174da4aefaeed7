"""The local platform as a source of runs for the dashboard."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from uploader.dashboard.kept_news import curves_of_news, news_of_runs
from uploader.dashboard.run_source import UnknownRun
from uploader.dashboard.shown import Action, Download, Picture, RunLine, RunList, RunNews, Trend
from uploader.dashboard.source_archive import archive
from uploader.server.local_platform import Platform
from uploader.server.pages import cursors, model_facts
from uploader.server.pages.cursors import Cursor
from uploader.server.pages.hub_runs import PREFIX, HubRuns
from uploader.server.pages.platform_runs import PlatformRuns
from uploader.server.pages.told import CONSOLE_CHUNKS, Kind, Line, Told
from uploader.server.pages.turning_points import TurningPoints
from uploader.server.storage.statements import Rows

_BLOCK = 1024 * 1024  # bytes
_UNKNOWN = "No such run here: it was never registered, or it was deleted"


@dataclass(frozen=True)
class _Seen:
    """What lists have told of a run last: digests of its line and its arguments, and the numbers of their changes."""

    line: int
    line_number: int
    arguments: int
    arguments_number: int


class StoreSource:
    """Reads runs from a platform's store; see `RunSource`.

    What has changed is known from the store's log of changes, in memory; unless something has, no look reads the
    store.

    Args:
        platform: The platform.
    """

    title = "Local platform"

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._store, self._changes = platform.store, platform.store.changes
        self._platform_runs, self._hub_runs = PlatformRuns(platform), HubRuns(platform)
        self._turns = TurningPoints()
        self._lock = threading.Lock()
        self._seen: dict[str, _Seen] = {}

    def has(self, key: str) -> bool:
        """Return whether there is such a run."""
        with self._store.read() as rows:
            return self._kind(key).id_of(rows, key) is not None

    def runs(self, since: str | None = None) -> RunList:
        """Return the list of runs, or what has changed of it."""
        self._turn()
        known = self._known(since)
        if known and self._changes.number <= known.number:
            return RunList(str(known), ())
        with self._store.look() as (rows, number):
            cursor = str(Cursor(self._changes.start, number))
            if known is None:
                lines = sorted(self._lines(rows, None), key=lambda each: each.made_at, reverse=True)
                self._note(lines, number, number)
                return RunList(cursor, [each.line for each in lines], is_whole=since is not None)
            changed, gone = self._changes.changed(known.number)
            runs = self._note(self._lines(rows, changed), known.number, number)
        return RunList(cursor, runs, [key for key in gone if not self.has(key)])

    def trends(self, keys: Sequence[str]) -> Mapping[str, Trend]:
        """Return how the main metric of some runs went; runs without one are left out."""
        found = {}
        with self._store.read() as rows:
            for key in keys:
                model = self._kind(key).id_of(rows, key)
                trend = model and self._kind(key).trend(rows, model)
                if trend:
                    found[key] = trend
        return found

    def news(self, key: str, since: str | None = None) -> RunNews:
        """Return what a run's page tells, or what of it is new."""
        self._turn()
        known = self._known(since)
        if known and since and self._changes.last(known.model) <= known.number:
            return RunNews(since)
        kind = self._kind(key)
        with self._store.look() as (rows, number):
            model = _found(kind.id_of(rows, key))
            told = None if known is None or known.model != model else self._change(kind, rows, known, number)
            if told is None:
                told = kind.whole(rows, model)
                told = replace(told, news=replace(told.news, is_whole=since is not None))
        self._turns.expect(model, told.turns_at)
        return replace(told.news, cursor=str(Cursor(self._changes.start, number, told.beyond, model)))

    def curves(self, keys: Sequence[str], known: Mapping[str, RunNews]) -> Mapping[str, RunNews]:
        """Return what a comparison shows of runs."""
        return curves_of_news(self, keys, known)

    def curve_news(self, since: Mapping[str, str]) -> Mapping[str, RunNews]:
        """Return what of that is new."""
        return news_of_runs(self, since)

    def pictures(self, key: str) -> Sequence[Picture]:
        """Return a run's plots, then what was logged, the newest steps first."""
        kind = self._kind(key)
        with self._store.read() as rows:
            return kind.pictures(rows, _found(kind.id_of(rows, key)))

    def console(self, key: str) -> Iterator[str]:
        """Yield all that it printed, a part at a time; each is read briefly."""
        kind = self._kind(key)
        with self._store.read() as rows:
            model = _found(kind.id_of(rows, key))
        return self._parts_of_console(kind, model)

    def checkpoint(self, key: str, sha256: str) -> tuple[Download, Iterator[bytes]]:
        """Return one of its checkpoints."""
        kind = self._kind(key)
        with self._store.read() as rows:
            file = kind.file(rows, _found(kind.id_of(rows, key)), sha256)
        path = self._platform.files.path(sha256)
        if file is None or not path.is_file():
            raise UnknownRun("No such checkpoint here: it never arrived, or it was deleted")
        return file, _blocks(path)

    def archive(self, key: str) -> tuple[Download, Iterator[bytes]]:
        """Return all that is known of it, as a ZIP file that is made on the way."""
        return archive(self, key)

    def act(self, key: str, action: Action, value: Any = None) -> None:
        """Do something to it."""
        kind = self._kind(key)
        with self._store.write(durable=True) as rows:
            kind.act(rows, _found(kind.id_of(rows, key)), action, value)

    def _kind(self, key: str) -> Kind:
        return self._hub_runs if key.startswith(PREFIX) and key.count("/") == 1 else self._platform_runs

    def _turn(self) -> None:
        """Make known which states have turned with time."""
        if turned := self._turns.reached(self._platform.now()):
            self._changes.turn(turned)

    def _known(self, since: str | None) -> Cursor | None:
        """Return a cursor, unless another start of the server gave it."""
        cursor = cursors.read(since)
        return cursor if cursor and cursor.start == self._changes.start else None

    def _change(self, kind: Kind, rows: Rows, known: Cursor, number: int) -> Told | None:
        changes = self._changes.of(known.model, known.number)
        if changes is None:
            return None
        return kind.change(rows, known.model, [each for each in changes if each.number <= number], known.beyond)

    def _lines(self, rows: Rows, ids: Sequence[str] | None) -> Iterator[Line]:
        """Yield lines, and note when their states turn."""
        for kind, is_hub in ((self._platform_runs, False), (self._hub_runs, True)):
            chosen = None if ids is None else [each for each in ids if each.startswith(PREFIX) == is_hub]
            for each in kind.lines(rows, chosen):
                self._turns.expect(each.model, each.turns_at)
                yield each

    def _note(self, lines: Iterable[Line], since: int, number: int) -> list[RunLine]:
        """Note what lines tell, and return those that tell something that was not told by `since`.

        When a run was heard of is told by the minute, since each line that it prints would be told otherwise.
        """
        found = []
        for each in lines:
            heard = (each.line.heard_at or "")[:16]
            line = hash(repr(replace(each.line, arguments={}, heard_at=heard, seconds=None)))
            arguments = hash(repr(each.line.arguments))
            with self._lock:
                seen = self._seen.get(each.model)
                line_number = seen.line_number if seen and seen.line == line else number
                arguments_number = seen.arguments_number if seen and seen.arguments == arguments else number
                self._seen[each.model] = _Seen(line, line_number, arguments, arguments_number)
            if max(line_number, arguments_number) > since:
                found.append(each.line if arguments_number > since else replace(each.line, arguments={}))
        return found

    def _parts_of_console(self, kind: Kind, model: str) -> Iterator[str]:
        chunk = None
        while True:
            with self._store.read() as rows:
                chunks = kind.chunks_after(rows, model, chunk, CONSOLE_CHUNKS)
            if not chunks:
                return
            yield ("" if chunk is None else "\n") + model_facts.text_of(chunks)
            chunk = chunks[-1]


def _found(model: str | None) -> str:
    if model is None:
        raise UnknownRun(_UNKNOWN)
    return model


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            yield block
