"""Reading what a journal holds of one run, a part at a time or all that a person looks at, each in one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, select, text

from journal.clock import utc_now
from journal.errors import UnknownRow
from journal.kinds import GOING_ON
from journal.outbox.head_notes import ToldHead, signed_heads
from journal.outbox.verifications import Verification, verifications
from journal.reading.console_text import ConsoleChunk, console_chunk, console_chunk_ids, console_tail
from journal.reading.delivery_records import DeliveryRecord, delivery_records
from journal.reading.epoch_gaps import gaps
from journal.reading.logged_media import LoggedMedium, count_media, logged_media
from journal.reading.overview import RunOverview, overview
from journal.reading.recorded_epochs import RecordedEpoch, epochs_after, recorded_epochs
from journal.reading.recorded_intents import RecordedIntent, recorded_intents
from journal.reading.report import RunReport, make_report
from journal.reading.run_growth import RunCurves, RunGrowth, last_event, run_curves, run_growth
from journal.reading.run_times import RunTimes, run_times
from journal.reading.stored_checkpoints import StoredCheckpoint, stored_checkpoints
from journal.records import Run
from journal.schema import tables
from journal.sessions.interrupted import is_untold
from journal.storage.backend import Begin
from journal.writing import continuation
from journal.writing.continuation import Continuation

CHUNKS_AT_ONCE = 100
"""So many chunks of console text are read in one transaction, so that no reader holds the log for long."""

_STATES = text("SELECT state, count(*) AS deliveries FROM deliveries WHERE run_id = :run GROUP BY state")


@dataclass(frozen=True)
class RunContents:
    """What a person looks at of one run.

    Attributes:
        report: Its state, and what has arrived of it.
        times: When it was trained.
        epochs: What was measured, evenly spaced epochs where there are many.
        epochs_recorded: How many there are, the final evaluation among them.
        missing_epochs: Numbers, from 0, of those that the journal lacks although it has later ones.
        console: The end of what it printed, oldest first.
        checkpoints: Those that were recorded, oldest first.
        deliveries: The first of them, those that did not arrive before others.
        deliveries_by_state: How many there are.
        verifications: What reading its platforms back has shown.
        signed_heads: The newest signed head at each of its platforms that has one.
        intents: What a person wants done of it on its platforms.
        media: How many images and plots it has, by `image` and `plot`.
    """

    report: RunReport
    times: RunTimes
    epochs: Sequence[RecordedEpoch]
    epochs_recorded: int
    missing_epochs: Sequence[int]
    console: Sequence[ConsoleChunk]
    checkpoints: Sequence[StoredCheckpoint]
    deliveries: Sequence[DeliveryRecord]
    deliveries_by_state: Mapping[str, int]
    verifications: Sequence[Verification]
    signed_heads: Sequence[ToldHead]
    intents: Sequence[RecordedIntent] = ()
    media: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class RunProgress:
    """How far a run is, for somebody who waits for it.

    Attributes:
        run: Its state, and what of it has not arrived.
        is_live: Whether a session is alive: one that has finished may still be writing.
        is_end_untold: Whether its process died, and that was not recorded yet.
        epochs: Those that were recorded since the last look.
        newest_epoch: Id of the last of their events.
        left_beside: How many files that it left beside the journal are not taken in yet.
    """

    run: RunOverview
    is_live: bool
    is_end_untold: bool
    epochs: Sequence[RecordedEpoch]
    newest_epoch: int
    left_beside: int = 0


def recorded_runs(begin: Begin) -> list[Run]:
    """Return all runs, oldest first.

    Args:
        begin: Begins a transaction.
    """
    with begin(read_only=True) as connection:
        rows = connection.execute(select(tables.runs).order_by(tables.runs.c.created_at))
        return [Run(**row._asdict()) for row in rows]


class RunReader:
    """Reads one run."""

    def __init__(self, begin: Begin, run_id: str) -> None:
        """Read nothing yet.

        Args:
            begin: Begins a transaction.
            run_id: The run.
        """
        self._begin = begin
        self._run_id = run_id

    def report(self) -> RunReport:
        """Return the run's state, and what has arrived of it.

        Raises:
            UnknownRow: It is not there any more.
        """
        with self._begin(read_only=True) as connection:
            return self._report(connection)

    def times(self) -> RunTimes:
        """Return when it was trained."""
        with self._begin(read_only=True) as connection:
            return run_times(connection, self._run_id, utc_now())

    def epochs(self, most: int | None = None) -> list[RecordedEpoch]:
        """Return what was measured, the final evaluation among it.

        Args:
            most: So many epochs, evenly spaced; None for all.
        """
        with self._begin(read_only=True) as connection:
            return recorded_epochs(connection, self._run_id, most)[0]

    def checkpoints(self) -> list[StoredCheckpoint]:
        """Return its checkpoints, oldest first."""
        with self._begin(read_only=True) as connection:
            return stored_checkpoints(connection, self._run_id)

    def media(self) -> list[LoggedMedium]:
        """Return the images and plots that a loop has logged, oldest first."""
        with self._begin(read_only=True) as connection:
            return logged_media(connection, self._run_id)

    def continuation(self) -> Continuation:
        """Return what a loop has to know of it when it goes on."""
        with self._begin(read_only=True) as connection:
            return continuation.read(connection, self._run_id)

    def deliveries(self, most: int | None = None) -> list[DeliveryRecord]:
        """Return its deliveries, those that did not arrive before others.

        Args:
            most: So many of them; None for all.
        """
        with self._begin(read_only=True) as connection:
            return delivery_records(connection, self._run_id, most)

    def console(self, after: int = 0) -> Iterator[ConsoleChunk]:
        """Yield what it printed, in the order of the training, however much that is.

        Args:
            after: Only what arrived in the journal after the chunk of this id.
        """
        with self._begin(read_only=True) as connection:
            ids = console_chunk_ids(connection, self._run_id, after)
        for first in range(0, len(ids), CHUNKS_AT_ONCE):
            with self._begin(read_only=True) as connection:
                chunks = [console_chunk(connection, each) for each in ids[first : first + CHUNKS_AT_ONCE]]
            yield from chunks

    def console_after(self, chunk_id: int) -> tuple[list[ConsoleChunk], bool]:
        """Return what arrived after a chunk, and whether more may come, as both were at one moment.

        Args:
            chunk_id: Its id; 0 for all.
        """
        with self._begin(read_only=True) as connection:
            ids = console_chunk_ids(connection, self._run_id, chunk_id)
            chunks = [console_chunk(connection, each) for each in ids]
            times = run_times(connection, self._run_id, utc_now())
            return chunks, times.is_live or times.state in GOING_ON

    def console_tail(self, lines: int) -> tuple[list[ConsoleChunk], int]:
        """Return the last chunks with so many lines, or a few more, and the id of the chunk that arrived last."""
        with self._begin(read_only=True) as connection:
            return console_tail(connection, self._run_id, lines)

    def growth(self, after: int, lines: int) -> RunGrowth:
        """Return what is new of it.

        Args:
            after: Id of the event after which it is new; 0 for all, of the console the end.
            lines: So many of the last lines of the console, or more, where it is told anew.
        """
        with self._begin(read_only=True) as connection:
            return run_growth(connection, self._run_id, after, lines)

    def curves(self, after: int = 0) -> RunCurves:
        """Return what it has measured.

        Args:
            after: Id of the event after which it is new; 0 for all.
        """
        with self._begin(read_only=True) as connection:
            return run_curves(connection, self._run_id, after)

    def last_event(self) -> int:
        """Return the id of its last event, 0 where it has none."""
        with self._begin(read_only=True) as connection:
            return last_event(connection, self._run_id)

    def progress(self, newest_epoch: int) -> RunProgress:
        """Return how far it is.

        Args:
            newest_epoch: As the last look told it; 0 at the first.

        Raises:
            UnknownRow: The run is not there any more.
        """
        with self._begin(read_only=True) as connection:
            now = utc_now()
            run = next((one for one in overview(connection, now) if one.id == self._run_id), None)
            if run is None:
                raise self._is_gone()
            epochs, newest = epochs_after(connection, self._run_id, newest_epoch)
            is_live = run_times(connection, self._run_id, now).is_live
            return RunProgress(run, is_live, is_untold(connection, now, self._run_id), epochs, newest)

    def contents(self, *, epochs: int | None, lines: int, deliveries: int | None) -> RunContents:
        """Return what a person looks at, as it was at one moment.

        Args:
            epochs: At most so many of them; None for all.
            lines: So many of the last ones that it printed, or more.
            deliveries: At most so many of them; None for all.

        Raises:
            UnknownRow: The run is not there any more.
        """
        run = self._run_id
        with self._begin(read_only=True) as connection:
            measured, numbers = recorded_epochs(connection, run, epochs)
            report = self._report(connection)
            states = connection.execute(_STATES, {"run": run})
            return RunContents(
                report=report,
                times=run_times(connection, run, utc_now()),
                epochs=measured,
                epochs_recorded=len(numbers),
                missing_epochs=gaps(connection, run, numbers) if numbers and not report.pruned else [],
                console=console_tail(connection, run, lines)[0],
                checkpoints=stored_checkpoints(connection, run),
                deliveries=delivery_records(connection, run, deliveries),
                deliveries_by_state={row.state: row.deliveries for row in states},
                verifications=verifications(connection, [run]),
                signed_heads=signed_heads(connection, run),
                intents=recorded_intents(connection, run),
                media=count_media(connection, run),
            )

    def _report(self, connection: Connection) -> RunReport:
        found = make_report(connection, utc_now(), self._run_id)
        if not found:
            raise self._is_gone()
        return found[0]

    def _is_gone(self) -> UnknownRow:
        return UnknownRow(f"the journal has no run {self._run_id} any more")
