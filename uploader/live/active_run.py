"""A run while it is recorded, to a loop of somebody's own: what `uploader.start_run` returns."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from journal.evaluations import SAID, looks_like_one
from journal.kinds import BEST, EPOCH, FINAL, LAST
from journal.metrics import REVISION
from journal.writing.continuation import Continuation
from uploader.live.current_training import current_recording, make_current
from uploader.live.guard import guard
from uploader.live.live_run import LiveRun
from uploader.live.logged_values import Logged, logged
from uploader.live.platform_signals import PlatformSignals
from uploader.live.redact import Redactor
from uploader.live.run_summary import Summary
from uploader.live.steps import Steps, step_number
from uploader.live.training_failure import Failure, failure
from uploader.recording.checkpoint_file import CheckpointFile
from uploader.recording.serial_executor import in_caller

LOGGER = logging.getLogger("uploader")
ROLES = (LAST, BEST, FINAL)


class ActiveRun:
    """A run while it is recorded; used in a `with` block, or ended by `finish`.

    After `start_run` nothing of it raises into the loop: what cannot be recorded is told in one warning. It may be used
    from several threads. In a forked child, such as a worker of a `DataLoader`, and on every rank but the first, its
    methods do nothing.

    Attributes:
        id: The run's uuid; "" where this process records nothing.
        folder: The run's folder, by which it can be resumed.
        config: The configuration, as it was recorded.
        resumed: Whether the run was known before.
        summary: What is to be said of the run as a whole, by name; see `uploader.live.run_summary`.
    """

    def __init__(self, run: LiveRun | None, redactor: Redactor, folder: Path, config: Mapping[str, Any]) -> None:
        """Use `uploader.start_run` instead.

        Args:
            run: The run; None where this process records nothing.
            redactor: Removes secrets from text.
            folder: The run's folder.
            config: The configuration.
        """
        self._run = run
        self._redactor = redactor
        self.folder = folder
        self.config = config
        self.id = run.recorder.run_id if run else ""
        self.resumed = run is not None and run.recorder.resumed
        before = run.recorder.continuation() if run else Continuation()
        self._steps = Steps(before.following)
        self._last = Logged()
        self._checkpoints = _best_so_far(before)
        self._has_best = before.best is not None
        self._lock = threading.RLock()  # a signal handler may log while the thread under it does
        self._ending = threading.Lock()
        self._warned: set[str] = set()
        self._sampled: tuple[int, object] = (-1, None)
        self._is_closed = run is None
        self._pid = os.getpid()
        self._error_before = getattr(sys, "last_value", None)
        self.stop = False
        self._signals = PlatformSignals(run.recorder.told, say) if run else None
        self.summary = Summary(run.events.event if run else None, before.summary)

    def begin(self, start: Mapping[str, Any], environment: Mapping[str, Any], origin: Mapping[str, str]) -> None:
        """Record the start, as `start_run` does."""
        if self._run is not None:
            make_current(self)
            atexit.register(self.abandon)
            self._run.begin(start, environment, origin)
            self._run.go_on()

    @property
    def is_open(self) -> bool:
        """Whether this process records the run, and it has not ended."""
        return not self._is_closed and os.getpid() == self._pid

    @property
    def next_step(self) -> int:
        """The number of the next step that is logged without one."""
        return self._steps.following

    @property
    def stop_requested(self) -> bool:
        """Whether a platform asks the loop to stop. It may be asked after each batch, as it looks now and then only."""
        if self._signals is not None and self.is_open and self._signals.is_due():
            signals = self._signals
            guard(self, "stop_requested", lambda: signals.check_between_batches(self))
        return self.stop

    def log(self, values: Mapping[str, Any], step: Any = None) -> None:
        """Record what was measured; a killed process does not lose it when this has returned.

        What is logged for one step belongs together, however many calls that takes; of what has the same name the last
        counts. Mappings within are told as `outer/inner`. A number that is not finite is told as none, and kept as text
        beside it; so is what is no number.

        Args:
            values: By name: numbers, also numpy's and torch's, and anything else.
            step: Number of the step, or epoch, from 0; None for the one after the last.
        """
        if (run := self._open_run()) is None:
            return
        if not _is_by_name(values):
            self._warn("values", f"log takes values by name, and not a {type(values).__name__}: they are not recorded")
            return
        told = logged(values)
        number = self._number(step)
        system = run.system.sample()
        with self._lock:
            taken = self._steps.take(told, number)
            self._last = self._last.merged(told)
            payload = {"epoch": taken.number, REVISION: taken.revision, **taken.logged.payload()}
            if looks_like_one(payload["metrics"]):
                payload[SAID] = False
            if system is not self._sampled[1] or taken.number == self._sampled[0]:  # each sample once, with one step
                payload["system"] = system
                self._sampled = (taken.number, system)
            run.events.event(EPOCH, payload, str(taken.number))

    def log_checkpoint(self, path: str | os.PathLike[str], role: str = LAST, step: Any = None) -> None:
        """Record that a file of weights was saved; it is copied in the background, as it is now.

        A newer one of a role takes the place of an older one that is not delivered yet. A platform that shows one model
        for a run is sent the best, or the last where there is no best.

        Args:
            path: The file; it may have any name.
            role: `last`, `best`, or `final` for the result of a run that ends now.
            step: The step whose weights it holds; None for the last one that was logged.
        """
        if (run := self._open_run()) is None:
            return
        if role not in ROLES:
            self._warn(
                f"role {role}", f"a checkpoint's role is one of {', '.join(ROLES)}, and not {role!r}: kept as last"
            )
            role = LAST
        guard(self, "log_checkpoint", partial(self._checkpoint, run, Path(path), role, self._number(step)))

    def finish(self, error: BaseException | str | None = None) -> None:
        """End the run; doing so again does nothing.

        Args:
            error: Why it has failed; None where it is complete.
        """
        if isinstance(error, str):
            self._finish(Failure(self._redactor.text(error), "Failed"))
        else:
            self.close(error)

    def close(self, error: BaseException | None) -> None:
        """End the run with what ended the loop; `SystemExit` without a code of failure is no error."""
        is_exit = isinstance(error, SystemExit) and error.code in (None, 0)
        self._finish(None if error is None or is_exit else failure(error, self._redactor))

    def abandon(self) -> None:
        """End a run that nobody has ended: as failed if an error has ended the program, else as complete."""
        error = getattr(sys, "last_value", None)
        self.close(None if error is self._error_before else error)

    def __enter__(self) -> ActiveRun:
        """Return the run."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the run, as failed where an exception ends the block."""
        self.close(error)

    def __repr__(self) -> str:
        """Return it for people."""
        state = f"{self.id} in {self.folder}" if self.id else "recorded by another process"
        return f"<active run {state}>"

    def __reduce__(self) -> tuple[Any, ...]:
        """Be pickled, for a process that records nothing of the run."""
        return not_recording, (str(self.folder), dict(self.config))

    def _open_run(self) -> LiveRun | None:
        """Return the run where this process may record it."""
        if self._run is None:
            return None
        if os.getpid() != self._pid:
            self._warn(
                "child", f"run {self.id} is recorded by the process that began it, not by its child {os.getpid()}"
            )
            return None
        if self._is_closed:
            self._warn("closed", f"run {self.id} has ended: what is logged now is not recorded")
            return None
        if current_recording() is not self:
            make_current(self)
        return self._run

    def _number(self, step: Any) -> int | None:
        try:
            return step_number(step)
        except ValueError as error:
            self._warn("step", f"{error}, and not {type(step).__name__}: it is counted instead")
            return None

    def _checkpoint(self, run: LiveRun, path: Path, role: str, step: int | None) -> None:
        epoch = max(0, self._steps.following - 1) if step is None else step
        self._has_best = self._has_best or role == BEST
        publish = role != LAST or not self._has_best
        file = CheckpointFile.of(path, role, epoch=epoch, publish=publish, is_best=role != LAST)
        if file is None:
            what = "is a folder" if path.is_dir() else "is not there"
            LOGGER.warning("Uploader: the checkpoint %s is not recorded: it %s", path, what)
            return
        self._checkpoints[role] = file
        if role == FINAL:
            run.recorder.snapshot(file)
        else:
            run.saved({"epoch": epoch, "files": [file.save_facts()]}, [file])

    def _finish(self, how: Failure | None) -> None:
        if self._run is not None and self.is_open:
            guard(self, "the end", partial(self._end, self._run, how), self._run.recorder.hurry)

    def _end(self, run: LiveRun, how: Failure | None) -> None:
        with self._ending:
            if not self.is_open:
                return
            self._is_closed = True
        atexit.unregister(self.abandon)
        run.stop_watching()
        if how is None:
            self._complete(run)
        run.end("failed" if how else "complete", how)

    def _complete(self, run: LiveRun) -> None:
        best, last = self._checkpoints.get(BEST), self._checkpoints.get(LAST)
        if FINAL not in self._checkpoints and (file := best or (None if self._has_best else last)):
            result = CheckpointFile.of(file.path, FINAL, epoch=file.epoch, publish=True, is_best=file is best)
            if result:
                run.keep_final(result)
        elif FINAL in self._checkpoints:
            run.recorder.wait_for_snapshots()
        results: dict[str, Any] = {"metrics": {**self._last.metrics, **self.summary.numbers()}}
        if best:
            results["bestEpoch"] = best.epoch
        run.complete({"results": results, "classNames": None, "plots": []})

    def _warn(self, what: str, message: str) -> None:
        """Warn once of each thing."""
        if what not in self._warned:
            self._warned.add(what)
            LOGGER.warning("Uploader: %s", message)


def _is_by_name(values: object) -> bool:
    return isinstance(values, Mapping)


def _best_so_far(before: Continuation) -> dict[str, CheckpointFile]:
    """Return the best weights that were saved before the run went on, if their file is still what was saved."""
    best = before.best or {}
    path, epoch = best.get("path"), best.get("epoch")
    if not (isinstance(path, str) and isinstance(epoch, int)):
        return {}
    file = CheckpointFile.of(Path(path), BEST, epoch=epoch, publish=True, is_best=True)
    is_same = file is not None and file.save_facts().items() >= best.items() - {("epoch", epoch)}
    return {BEST: file} if file is not None and is_same else {}


def not_recording(folder: str | Path, config: Mapping[str, Any]) -> ActiveRun:
    """Return a run whose methods do nothing, as another process records it."""
    return ActiveRun(None, Redactor(), Path(folder), config)


def say(message: str) -> None:
    """Tell a person something, where a loop's other messages go."""

    def write() -> None:
        if sys.stderr is not None:
            sys.stderr.write(f"Uploader: {message}\n")

    in_caller(write)
