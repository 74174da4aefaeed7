"""Mirroring the results of runs: what platforms have taken and answered, so that nothing is sent twice after a loss.

Results are one object for a run, and say all of it each time. They are written at once when a platform has given the
run its ids, which a second model would come of if they were lost; otherwise now and then.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection
from typing import Any

from sqlalchemy import text

from journal.errors import DamagedMirror
from journal.mirror.compacting import GRACE_SECONDS
from journal.mirror.journal_reader import JournalReader
from journal.mirror.layout import RUNS, ResultsName
from journal.mirror.segment_reading import read_results
from journal.mirror.stores import Store
from journal.outbox import run_results
from journal.outbox.run_results import Results
from journal.outbox.superseded_results import supersede

RESULTS_SECONDS = 30.0
"""Receipts that come in are mirrored at least so often."""
_COST = 20
"""Writing them may take a 20th of the time at most."""
_IDS = text("SELECT destination_id, ids, state, dropped_at FROM targets WHERE run_id = :run ORDER BY destination_id")
_RECEIPTS = text(
    """
    SELECT count(*), max(settled_at), (SELECT max(planned_through) FROM targets WHERE run_id = :run) FROM deliveries
    WHERE run_id = :run
    """
)


class ResultsMirroring:
    """Mirrors the results of runs; the object that it wrote before for a run is deleted then."""

    def __init__(self, reader: JournalReader, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        """Write nothing yet.

        Args:
            reader: Reads the journal.
            store: The mirror.
            clock: Seconds; never goes back.
        """
        self._reader = reader
        self._store = store
        self._clock = clock
        self._due = clock() + RESULTS_SECONDS
        self._ids: dict[str, Any] = {}
        self._receipts: dict[str, Any] = {}
        self._written: dict[str, ResultsName] = {}

    @property
    def written(self) -> set[str]:
        """The names of the results that it has written and that are there now."""
        return {str(name) for name in self._written.values()}

    def step(self, runs: Collection[str], *, is_last: bool = False) -> None:
        """Hand over the results that have changed, if it is time.

        Args:
            runs: Uuids of the runs.
            is_last: Whether it is time in any case.
        """
        is_due = is_last or self._clock() >= self._due
        began = self._clock()
        for run in runs:
            self._step(run, is_due=is_due, is_last=is_last)
        if is_due:
            self._due = self._clock() + max(RESULTS_SECONDS, _COST * (self._clock() - began))

    def _step(self, run: str, *, is_due: bool, is_last: bool) -> None:
        with self._reader.begin() as connection:
            ids = connection.execute(_IDS, {"run": run}).all()
            receipts = connection.execute(_RECEIPTS, {"run": run}).one() if is_due else self._receipts.get(run)
            if (ids, receipts) == (self._ids.get(run, []), self._receipts.get(run)) or not _is_known(ids):
                return
            results = run_results.read(connection, run)
        content = run_results.to_bytes(results)
        self._put(ResultsName(run, hashlib.sha256(content).hexdigest()[:32]), content)
        self._ids[run], self._receipts[run] = ids, receipts
        if is_last:
            self._clear(results)

    def _put(self, name: ResultsName, content: bytes) -> None:
        self._store.put(str(name), content)
        before = self._written.get(name.run)
        if before and before != name:
            self._store.delete(str(before))
        self._written[name.run] = name

    def _clear(self, own: Results) -> None:
        """Delete what these results make unnecessary: older ones of any machine, and what is damaged for good.

        Those of a drive that sends late go once these have been there for a while.
        """
        listed = {found.name: found.written_at for found in self._store.list(f"{RUNS}{own.run.id}/results/")}
        mine, now = str(self._written[own.run.id]), time.time()
        if not self._store.confirms and now - listed.get(mine, now) < GRACE_SECONDS:
            return
        for found in (name for name in map(ResultsName.parse, listed) if name and str(name) != mine):
            try:
                is_needed = not supersede(own, read_results(self._store, found))
            except DamagedMirror:
                is_needed = now - listed[str(found)] < GRACE_SECONDS
            if not is_needed:
                self._store.delete(str(found))


def _is_known(ids: Any) -> bool:
    """Return whether a platform has heard of the run; before, there are no results worth an object."""
    return any(row.state != "new" or row.dropped_at for row in ids)
