"""The thread that mirrors a training's run, and the one that brings a run back from its mirror when it is resumed.

The training never waits for the mirror, except, for a bounded time, when it ends and when a run is brought back. A
mirror that fails is said once, and is tried again.
"""

from __future__ import annotations

import logging
import os
import shlex
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from journal.clock import now_text
from journal.errors import JournalError
from journal.locations import recording_folder
from journal.next_steps import next_command
from journal.opening import open_journal
from journal.quantities import count
from uploader.recording.journal_options import JournalOptions
from uploader.recording.resumption import is_journaled, known_run
from uploader.recording.serial_executor import bind_thread, executor

if TYPE_CHECKING:
    from journal import Journal
    from journal.mirror.mirror_state import MirrorState
    from journal.mirror.mirroring import Mirroring
    from journal.mirror.stores import Store

LOGGER = logging.getLogger("uploader")

CLOSE_SECONDS = 120.0
"""How long the end of a training waits for its mirror at most."""
RESTORE_SECONDS = 60.0
"""How long a resumed training waits for its run at most."""
AHEAD_SECONDS = 15.0
"""How long one does whose journal has the run, which may have gone on elsewhere since."""
_RETRY_SECONDS = 15.0
_LAST_TRIES = 3
_PAUSE = 1.0


class MirrorThread:
    """Mirrors one run of a journal until it is closed.

    Attributes:
        state: How far the run is mirrored.
    """

    def __init__(self, journal: Path, address: str, run_id: str) -> None:
        """Start the thread.

        Args:
            journal: The journal's folder.
            address: The mirror's, from `journal.mirror.mirror_addresses.checked_mirror`.
            run_id: Uuid of the run.
        """
        from journal.mirror.mirror_state import MirrorState

        self.state: MirrorState = MirrorState(address, run_id, confirms=False)
        self._journal = journal
        self._wake = threading.Event()
        self._has_ended = threading.Event()
        self._is_closing = self._is_hurried = self._is_whole = False
        self._pid = os.getpid()
        self._executor = executor()
        self._thread = threading.Thread(target=self._work, name="uploader-mirror", daemon=True)
        self._thread.start()

    @property
    def in_words(self) -> str:
        """What of the run is safe, and what is not."""
        from journal.mirror.mirror_state import safety

        return safety(self.state, self._journal, is_whole=self._is_whole)

    def wake(self) -> None:
        """Have what was written just now mirrored at once; in a forked child, do nothing."""
        if os.getpid() == self._pid:
            self._wake.set()

    def hurry(self) -> None:
        """End the wait for the mirror: a person wants the process to end."""
        self._is_hurried = True
        self._has_ended.set()

    def close(self) -> bool:
        """Have the rest mirrored and join the thread; return whether all is in the mirror."""
        self._is_closing = True
        self._wake.set()
        if not self._is_hurried and self._has_ended.wait(CLOSE_SECONDS) and not self._is_hurried:
            self._thread.join()
            self._is_whole = self.state.error is None and self.state.is_whole
        return self._is_whole

    def _work(self) -> None:
        bind_thread(self._executor)
        try:
            self._mirror_all()
        finally:
            self._has_ended.set()

    def _mirror_all(self) -> None:
        from journal.mirror.mirroring import STEP_SECONDS

        mirroring: Mirroring | None = None
        last_tries = 0
        while True:
            is_last = self._is_closing
            try:
                mirroring = mirroring or self._begin()
                self._step(mirroring, is_last=is_last)
                if is_last:
                    self._note_fallbacks()
                    return
            except Exception as error:  # noqa: BLE001 - the thread has to live on for what comes
                last_tries += is_last
                gives_up = is_last and (self.state.error is not None or last_tries == _LAST_TRIES)
                self._fail(error)
                if gives_up:
                    return
            failed = self.state.error is not None
            self._wake.wait(_PAUSE if is_last else _RETRY_SECONDS if failed else STEP_SECONDS)
            self._wake.clear()

    def _note_fallbacks(self) -> None:
        """Note that events are in fallback files, and so not in the mirror."""
        with open_journal(self._journal) as opened:
            files = opened.fallbacks.waiting(self._journal)
        if files:
            self.state = replace(self.state, error=f"events are in {count(files, 'fallback file')}")

    def _begin(self) -> Mirroring:
        from journal.mirror.mirror_addresses import open_store
        from journal.mirror.mirroring import Mirroring

        store = open_store(self.state.address)
        self.state = replace(self.state, confirms=store.confirms)
        return Mirroring(open_journal(self._journal), store, [self.state.run])

    def _step(self, mirroring: Mirroring, *, is_last: bool) -> None:
        done = mirroring.step(is_last=is_last)
        if self.state.error is not None:
            LOGGER.warning("The mirror %s can be used again.", self.state.address)
        elif not done and self.state.tried_at and not is_last:
            return
        self.state = mirroring.state(self.state.run)
        self.state.write(self._journal)

    def _fail(self, error: Exception) -> None:
        is_ours = isinstance(error, JournalError)
        if self.state.error is None and is_ours:
            LOGGER.warning("The training is not mirrored for now, it goes on and the mirror is tried again: %s", error)
        elif self.state.error is None:
            LOGGER.error("Mirroring failed in an unexpected way; it is tried again", exc_info=error)
        self.state = replace(self.state, tried_at=now_text(), error=str(error) if is_ours else type(error).__name__)
        self.state.write(self._journal)


def bring_back_run(options: JournalOptions, address: str, save_dir: Path, checkpoint: Path | None) -> None:
    """Restore the run that is resumed from its mirror, or what of it the journal does not have.

    The journal may be a new machine's, or an older one's that comes back after the run went on elsewhere.

    Args:
        options: Which journal.
        address: The mirror's.
        save_dir: The folder that is trained into.
        checkpoint: The file that is resumed from, if known.
    """
    known = known_run(options, save_dir, checkpoint)
    run = known.run if known else None
    folder = recording_folder(options.journal)
    if run is None or not is_journaled(options, run):
        _in_time(partial(_bring_back, folder, address, run, checkpoint), address, RESTORE_SECONDS)
    else:
        _in_time(partial(_bring_back_rest, folder, address, run), address, AHEAD_SECONDS)


def _in_time(bring_back: Callable[[], None], address: str, seconds: float) -> None:
    """Restore a run; what takes longer than it may follows while the training begins."""
    is_done = threading.Event()
    bound = executor()

    def work() -> None:
        bind_thread(bound)
        try:
            bring_back()
        except JournalError as error:
            LOGGER.warning("Nothing was brought back from the mirror %s: %s", address, error)
        except Exception:
            LOGGER.exception("Restoring from the mirror %s failed in an unexpected way; training goes on", address)
        finally:
            is_done.set()

    threading.Thread(target=work, name="uploader-restore", daemon=True).start()
    if not is_done.wait(seconds):
        LOGGER.warning("The mirror %s is slow: the training begins, and what it has comes in later.", address)


def _bring_back(journal: Path, address: str, run: str | None, checkpoint: Path | None) -> None:
    """Restore the run that is resumed and no other: a mirror may hold runs that other machines train now."""
    import journal as journals
    from journal.mirror.mirror_addresses import open_store
    from journal.mirror.recognizing import run_that_saved

    store = open_store(address)
    resumed = run or (run_that_saved(store, checkpoint) if checkpoint else None)
    if resumed is None:
        LOGGER.warning(
            "Nothing was brought back from the mirror %s: no run in it is known to be the one that is resumed (%s). If "
            "it is there, stop, bring all of its runs back with `%s`, and resume again.",
            address,
            checkpoint or "without a checkpoint",
            next_command(f"restore {shlex.quote(address)}", journal),
        )
        return
    with journals.open(journal) as opened:
        _restore(opened, store, resumed)


def _bring_back_rest(journal: Path, address: str, run: str) -> None:
    """Restore what the journal does not have of a run that was continued elsewhere."""
    import journal as journals
    from journal.mirror.gaps import is_ahead
    from journal.mirror.mirror_addresses import open_store
    from journal.mirror.restoring import segment_names

    store = open_store(address)
    names = segment_names(store, [run])
    with journals.open(journal) as opened:
        with opened.begin(read_only=True) as connection:
            has_more = is_ahead(connection, run, names)
        if has_more:
            _restore(opened, store, run)


def _restore(journal: Journal, store: Store, run: str) -> None:
    from journal.mirror.restoring import restore

    restored = restore(journal, store, [run])
    for what in (*restored.damaged, *restored.gaps):
        LOGGER.warning("Not brought back: %s", what)
    if restored.events:
        LOGGER.warning("%s events of this run were brought back from the mirror %s.", restored.events, store.address)
