"""A journal as a folder, and the things one does with the whole of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from copy import copy
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from journal import locations
from journal.checkpoints import retaking
from journal.checkpoints.blob_access import Blobs
from journal.checkpoints.blobs import BlobStore
from journal.checkpoints.recognition import Recognition
from journal.checkpoints.salvage import lost_snapshots
from journal.clock import utc_now
from journal.errors import BlobsUnavailable, JournalError
from journal.outbox import planning, redelivery, resending, verifications
from journal.outbox.dropping import Dropped, drop_destination
from journal.outbox.outbox import Outbox
from journal.outbox.redelivery import Retried
from journal.outbox.redirecting import Redirected, redirect
from journal.outbox.resending import Renamed
from journal.outbox.verifications import Found, Verification
from journal.reading.arrived import Arrived, arrived
from journal.reading.backlog_figures import DestinationBacklog, backlog_figures
from journal.reading.beside import left_beside
from journal.reading.details import RunDetails, details
from journal.reading.drain_at_work import DrainAtWork, drain_at_work
from journal.reading.drains_at_work import drains_at_work
from journal.reading.epoch_gaps import missing_epochs
from journal.reading.overview import RunOverview, overview
from journal.reading.remaining import Left, left
from journal.reading.report import RunReport, make_report
from journal.records import PlannedDelivery, Target
from journal.retention import prunable, pruning
from journal.retention.limit import Size, blob_bytes
from journal.retention.pruning import Pruned
from journal.sessions import interrupted
from journal.sessions.liveness import live_sessions
from journal.sessions.lost_epochs import TrainerRecord
from journal.sessions.over import OverRun, runs_over
from journal.sessions.silent import going_on
from journal.shared_addresses import as_path
from journal.storage.backend import Backend, Begin, Changes
from journal.writing import epoch_salvage, salvaging
from journal.writing.fallback_files import FallbackFiles
from journal.writing.writer import Writer

if TYPE_CHECKING:
    from journal.shared_blobs.placed_blobs import PlacedBlobs

_REMOVED_AT_ONCE = 20  # blobs of a shared journal: others wait meanwhile, and it for the store


class Journal:
    """An open journal. Use it as a context manager, or call `close`.

    Attributes:
        path: The folder; of a journal in a database, the one that this machine has for it.
        database: `journal.db` in it.
        address: The journal as people are told of it.
        place: It on the command line: the folder, or the path that stands for its URL.
        is_shared: Whether many machines write to it and drain it at once.
        blobs: The checkpoint bytes, wherever the journal keeps them.
        local_blobs: Those in `path`; of a journal in a file, they are the same.
        shared_blobs: Those of a shared journal, else None.
        uuid: What tells this journal from all others, wherever it is; None if somebody has deleted it.
        changes: Returns what notices that somebody has written, until the journal is closed.
        wal_bytes: Returns the size of the write-ahead log.
    """

    def __init__(self, backend: Backend, uuid: str | None, shared_blobs: PlacedBlobs | None = None) -> None:
        """Use `open_journal` instead, which also creates and migrates."""
        self.path = backend.folder
        self.database = backend.folder / "journal.db"
        self.address = backend.address
        self.place = as_path(backend.address) if backend.is_shared else backend.folder
        self.is_shared = backend.is_shared
        self.local_blobs = BlobStore(backend.folder / "blobs")
        self.shared_blobs = shared_blobs
        self.blobs: Blobs = shared_blobs or self.local_blobs
        self.uuid = uuid
        self.changes: Callable[[], Changes] = backend.changes
        self.wal_bytes: Callable[[], int] = backend.log_bytes
        self._backend = backend
        self._kept: Begin | None = None  # begins on a connection that is kept

    def writer(self) -> Writer:
        """Return a new writer; the caller closes it.

        Raises:
            JournalError: The journal is shared: trainings write to one on their machine.
        """
        if self.is_shared:
            raise JournalError(
                f"{self.address} is shared: trainings write to a journal on their own machine, and `collect` brings "
                "that in"
            )
        return Writer(self._backend.engine, self.local_blobs, self.database)

    def outbox(self) -> Outbox:
        """Return a new outbox; the caller closes it."""
        return Outbox(self._backend)

    def on_connection_of(self, outbox: Outbox) -> Journal:
        """Return this journal for the owner of an outbox: what it does goes over the outbox's connection.

        To open one takes longer than most of what it is used for.
        """
        shared = copy(self)
        shared._kept = outbox.begin
        return shared

    @contextmanager
    def on_one_connection(self) -> Iterator[Journal]:
        """Provide this journal for many transactions in a row, by one thread: they go over one connection.

        Otherwise each opens one. Closing it folds the log, if nobody else has the journal open.
        """
        with ExitStack() as stack:
            shared = copy(self)
            shared._kept = self._kept or self._backend.begins_on(stack.enter_context(self._backend.connect()))
            yield shared

    @property
    def fallbacks(self) -> FallbackFiles:
        """Are what trainings had to write beside this journal."""
        return FallbackFiles(self._transaction, self.path)

    @property
    def begin(self) -> Begin:
        """Begins a transaction, for what works on the whole of a journal; see `journal.mirror`."""
        return self._transaction

    def report(self) -> list[RunReport]:
        """Return the state of each run."""
        with self._transaction(read_only=True) as connection:
            return make_report(connection, utc_now())

    def overview(self) -> tuple[list[RunOverview], Mapping[str, Sequence[int]]]:
        """Return each run at a glance, and the numbers of the epochs that are missing between others, by run."""
        with self._transaction(read_only=True) as connection:
            runs = overview(connection, utc_now())
            return runs, missing_epochs(connection, {run.id for run in runs if run.pruned})

    def backlog(self) -> list[DestinationBacklog]:
        """Return what waits for each destination."""
        with self._transaction(read_only=True) as connection:
            return backlog_figures(connection, self._backend.now(connection))

    def now(self, connection: Connection) -> datetime:
        """Return the time by the clock that decides about leases; `connection` is in a transaction."""
        return self._backend.now(connection)

    def drains(self) -> list[DrainAtWork]:
        """Return the drains at work, as far as is known here."""
        if self.is_shared:
            with self._transaction(read_only=True) as connection:
                return [one.told for one in drains_at_work(connection, self._backend.now(connection))]
        found = drain_at_work(self.path)
        return [] if found is None else [found]

    def live_sessions(self) -> int:
        """Return how many sessions of trainings are alive, as far as is known."""
        with self._transaction(read_only=True) as connection:
            return len(live_sessions(connection, self._backend.now(connection)))

    def left(self, run_ids: Collection[str] | None) -> Left:
        """Return what is left to be delivered of runs (these, or all), together."""
        with self._transaction(read_only=True) as connection:
            return left(connection, run_ids)

    def details(self, run_ids: Collection[str]) -> Mapping[str, RunDetails]:
        """Return what a closer look tells of runs, by their ids."""
        with self._transaction(read_only=True) as connection:
            return details(connection, run_ids)

    def arrived(self, run_id: str) -> Sequence[Arrived]:
        """Return how much of a run has arrived at each of its destinations."""
        with self._transaction(read_only=True) as connection:
            return arrived(connection, run_id)

    def verifications(self, run_ids: Sequence[str] | None = None) -> list[Verification]:
        """Return what reading platforms back has shown of runs (these, or all), and whether it still holds."""
        with self._transaction(read_only=True) as connection:
            return verifications.verifications(connection, run_ids)

    def note_verification(self, run_id: str, destination_id: int, found: Found) -> None:
        """Store what reading a run back from a destination has shown."""
        with self._transaction() as connection:
            verifications.note(connection, run_id, destination_id, found)

    def left_beside(self, folders: Iterable[Path] | None = None) -> list[tuple[str, Path]]:
        """Return (run uuid, path) of the files beside the journal that are not ingested yet."""
        beside = locations.fallback_folders() if folders is None else folders
        with self._transaction(read_only=True) as connection:
            return left_beside(connection, self.path, beside, utc_now())

    def require_dead(self, delivery_ids: Sequence[int]) -> None:
        """Check that these ids are those of dead letters, all of them.

        Raises:
            UnknownRow: One of them is not.
        """
        with self._transaction(read_only=True) as connection:
            redelivery.require_dead(connection, delivery_ids)

    def retry(self, delivery_ids: Sequence[int] | None = None, run_ids: Sequence[str] = ()) -> Retried:
        """Redeliver dead letters (these, or all) that nothing newer replaced, and unblock their runs (or all).

        Args:
            delivery_ids: The dead letters; None for all.
            run_ids: Runs that are unblocked in any case.

        Raises:
            UnknownRow: One of them is no dead letter; none was retried.
        """
        with self._transaction() as connection:
            return redelivery.retry(connection, delivery_ids, run_ids)

    def drop(self, delivery_ids: Sequence[int]) -> int:
        """Drop dead letters for good; their rows stay as `dropped`. Return how many.

        Raises:
            UnknownRow: One of them is no dead letter; none was dropped.
        """
        with self._transaction() as connection:
            return redelivery.drop(connection, delivery_ids)

    def drop_destination(self, destination_id: int, run_ids: Sequence[str] | None = None) -> Dropped:
        """Drop what has not arrived at a destination (of these runs, or all), and plan nothing more for it.

        Raises:
            UnknownRow: None of the runs goes there.
        """
        with self._transaction() as connection:
            return drop_destination(connection, destination_id, run_ids)

    def resend(self, run_id: str, destination_id: int) -> int:
        """Have a run sent again whole to a destination; return how many events that are."""
        with self._transaction() as connection:
            return resending.resend(connection, run_id, destination_id)

    def send_again(self, target: Target, planned: Sequence[PlannedDelivery], stage: int) -> int:
        """Send parts of a run again; return how many deliveries are new. See `journal.outbox.planning.send_again`."""
        with self._transaction() as connection:
            return planning.send_again(connection, target, planned, stage)

    def redirect(
        self, run_ids: Sequence[str] | None, platform: str, base_url: str, *, origin: int | None = None
    ) -> Redirected:
        """Send runs somewhere else than to where nothing of them was ever sent; see `journal.outbox.redirecting`.

        Raises:
            UnknownRow: That is so for none of them.
        """
        with self._transaction() as connection:
            return redirect(connection, run_ids, platform, base_url, origin=origin)

    def rename(self, run_id: str, *, project: str | None = None, name: str | None = None) -> Renamed:
        """Give a run another project or name, for the destinations that do not know it yet.

        Raises:
            UnknownRow: Every destination knows it, or one of them by its project and name alone.
        """
        with self._transaction() as connection:
            return resending.rename(connection, run_id, project, name)

    def prunable(self, before: datetime, *, given_up: bool = False) -> list[str]:
        """Return the ids of the runs that `prune` would take out for the same."""
        now = utc_now()
        with self._transaction(read_only=True) as connection:
            return prunable.prunable(connection, before, now, going_on(connection, now), given_up=given_up)

    def prune(self, before: datetime, *, given_up: bool = False, only: Collection[str] | None = None) -> Pruned:
        """Take out what has arrived whole and was last written to before this time, and the bytes of no use.

        Args:
            before: The time.
            given_up: Whether to take out runs whose every destination was given up, too: what never arrived is lost.
            only: Only of these runs; None for all.
        """
        pruned = pruning.prune(self._transaction, before, utc_now(), given_up=given_up, only=only)
        self._sweep()
        self.fold_wal()
        return pruned

    def salvage(self) -> int:
        """Snapshot the checkpoints that dead sessions saved and left on this disk, not on a node's; return how many."""
        if self.is_shared:
            return 0
        with self._transaction(read_only=True) as connection:
            lost = lost_snapshots(connection, utc_now())
        with closing(self.writer()) as writer:
            saved = sum(salvaging.take_in(writer, self.local_blobs, one) for one in lost)
        self._sweep()
        return saved

    def note_interrupted(self) -> int:
        """Record an `interrupted` event for each training whose process has died; return how many are new."""
        with self._transaction(read_only=True) as connection:
            if not interrupted.is_any(connection, self._backend.now(connection)):
                return 0
        with self._transaction() as connection:
            return interrupted.note(connection, self._backend.now(connection))

    def runs_over(
        self, *, finished: bool = False, of: Collection[str] | None = None, pruned: Collection[str] | None = None
    ) -> list[OverRun]:
        """Return the runs that nobody trains any more, and that did not finish or have something to be planned.

        Args:
            finished: Whether to return all others, too.
            of: Only of these; None for all.
            pruned: Those of which events were deleted, where that is known.
        """
        with self._transaction(read_only=True) as connection:
            known = prunable.pruned(connection) if pruned is None else pruned
            return list(runs_over(connection, utc_now(), known, finished=finished, of=of))

    def lost_epochs(self, run: OverRun, record: TrainerRecord) -> list[int]:
        """Return the numbers of the epochs of a trainer's own record that the journal lacks.

        Args:
            run: From `runs_over`.
            record: The trainer's.
        """
        with self._transaction(read_only=True) as connection:
            return sorted(one.epoch.number for one in epoch_salvage.find(connection, run.id, record, run.generation))

    def missing_epochs(self) -> Mapping[str, Sequence[int]]:
        """Return the numbers of the epochs that the journal lacks although it has later ones, by run."""
        with self._transaction(read_only=True) as connection:
            return missing_epochs(connection, prunable.pruned(connection))

    def salvage_epochs(self, run: OverRun, record: TrainerRecord) -> list[int]:
        """Record the epochs of a trainer's own record that the journal lacks; return their numbers.

        Args:
            run: From `runs_over`.
            record: The trainer's.
        """
        return epoch_salvage.take_in(self._transaction, run.id, record, run.generation)

    def retake(self, names: Sequence[str], delivery_ids: Sequence[int] | None = None) -> int:
        """Take in again what dead letters miss, where the trainer still has it; return how many files.

        Args:
            names: Of the trainer's files, below a run's folder.
            delivery_ids: The dead letters; None for all.

        Raises:
            JournalUnavailable: They cannot be written.
        """
        if self.is_shared:  # no trainer's file is known to be on this machine
            return 0
        return retaking.retake(self._transaction, self.local_blobs, names, delivery_ids)

    def recognition(self) -> Recognition:
        """Return what knows whose a file, a folder or a model is."""
        return Recognition(self._transaction)

    def size(self) -> Size:
        """Return how much the journal holds."""
        with self._transaction(read_only=True) as connection:
            return Size(self._backend.database_bytes(connection), blob_bytes(connection))

    def mark_removed(self, sha256s: Collection[str]) -> None:
        """Record that the files of these blobs were deleted to make room."""
        with self._transaction() as connection:
            prunable.mark_removed(connection, sha256s)

    def _sweep(self) -> None:
        """Remove bytes that were given up, also by processes that were killed before they came to it."""
        with suppress(BlobsUnavailable):  # the next one does it
            prunable.clear_removed(self._transaction, self.blobs, _REMOVED_AT_ONCE if self.is_shared else None)
            self.blobs.sweep(time.time())

    def fold_wal(self) -> bool:
        """Fold the write-ahead log back into the database; False when another process was in the way."""
        with self._backend.connect() as connection:
            return self._backend.fold(connection)

    def flush(self) -> None:
        """Flush what was committed so far, also by other processes; what leaves the machine has to be flushed first.

        Raises:
            JournalUnavailable: It could not be flushed.
        """
        self._backend.flush()

    def close(self) -> None:
        """Let go of the database. Writers and outboxes are closed by those who asked for them."""
        self._backend.close()

    def __enter__(self) -> Journal:
        """Return the journal."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    @contextmanager
    def _transaction(
        self, *, read_only: bool = False, durable: bool = False, concurrent: bool = False
    ) -> Iterator[Connection]:
        with ExitStack() as stack:
            begin = self._kept or self._backend.begins_on(stack.enter_context(self._backend.connect()))
            yield stack.enter_context(begin(read_only=read_only, durable=durable, concurrent=concurrent))
