"""An open journal and the session that is written to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from journal.disk_priority import standing_back
from journal.errors import JournalError
from journal.kinds import FINAL
from journal.opening import open_journal  # now, as a process that has no descriptor left can import nothing
from journal.records import Run
from journal.sessions.identity import Session
from journal.storage.connections import is_unlinked
from journal.storage.database import Durability

if TYPE_CHECKING:
    from journal import Journal
    from journal.checkpoints.blobs import Snapshot
    from journal.writing.writer import Writer
    from uploader.recording.checkpoint_file import CheckpointFile


@dataclass(frozen=True)
class OpenSession:
    """An open journal and the session that is written to it.

    Attributes:
        journal: The journal.
        writer: Writes the events.
        run: The run that is written.
        session_id: The session's row.
        file: Device and inode of the database.
    """

    journal: Journal
    writer: Writer
    run: Run
    session_id: int
    file: tuple[int, int] | None

    @classmethod
    def open(
        cls,
        folder: Path,
        run: Run,
        session: Session,
        routes: Sequence[tuple[str, str]],
        *,
        durability: Durability,
        busy_seconds: float,
    ) -> OpenSession:
        """Open the journal and write the run, its destinations and the session, unless it has them.

        Raises:
            JournalError: The journal cannot be used; nothing is left open.
        """
        opened = open_journal(folder, durability=durability, busy_seconds=busy_seconds)
        writer = opened.writer()
        try:
            # Even a journal that cannot be written can be read: a fallback file then has its uuid and the generation.
            session.journal = opened.uuid
            session.continue_after(writer.newest_session(run.id))
            writer.start_run(project=run.project, name=run.name, save_dir=run.save_dir, run_id=run.id)
            for platform, base_url in routes:
                writer.route(run.id, platform, base_url)
            return cls(opened, writer, run, writer.start_session(run.id, session=session), writer.file)
        except JournalError:
            writer.close()
            opened.close()
            raise

    def event(self, kind: str, payload: Mapping[str, Any], key: str = "") -> None:
        """Write an event of the session."""
        self.writer.append(self.run.id, self.session_id, kind, payload, key)

    def add_checkpoint(self, file: CheckpointFile) -> Snapshot:
        """Snapshot a file, as it was when it was looked at, into the journal and refer to it; return what was copied.

        Raises:
            JournalError: It could not be done.
        """
        # Somebody waits for a final one.
        with nullcontext() if file.role == FINAL else standing_back():
            snapshot = self.journal.local_blobs.snapshot(file.path, file.stamp)
        try:
            self.writer.add_checkpoint(self.run.id, self.session_id, snapshot, file.role, file.checkpoint_facts())
            return snapshot
        finally:
            self.journal.local_blobs.discard(snapshot)

    def add_copy(self, copy: Snapshot, role: str, facts: Mapping[str, Any]) -> None:
        """Refer once more to bytes that the journal has, as a checkpoint of another role.

        Raises:
            JournalError: They are not there any more, or it could not be done.
        """
        self.journal.local_blobs.path(copy.sha256)
        self.writer.add_checkpoint(self.run.id, self.session_id, copy, role, facts)  # its own name is gone since

    def enforce_limit(self, limit: int, size: int = 0, role: str | None = None) -> bool:
        """Evict what may be evicted if the journal exceeds its limit, or would with a new checkpoint.

        Args:
            limit: Bytes.
            size: Size of the new checkpoint.
            role: Role of the new checkpoint; None when there is none.

        Returns:
            Whether to take the checkpoint, or, without one, whether the journal is within its limit.
        """
        if self.writer.size().total + size <= limit:
            return True
        # After the machine has slept the last heartbeat is old, and our own run would be taken for one that has ended.
        self.writer.heartbeat(self.session_id)
        with closing(self.journal.writer()) as beside:  # another writer, which no event waits for
            space = beside.space(limit)
            return space.for_checkpoint(size, self.run.id, role) if role else space.for_events()

    def is_unlinked(self) -> bool:
        """Return whether the database or its log was removed or replaced.

        What is written then goes into a file without a name.
        """
        return self.writer.has_lost_its_file or is_unlinked(self.journal.database, self.file)

    def close(self) -> None:
        """Close the files."""
        self.writer.close()
        self.journal.close()
