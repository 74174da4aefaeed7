"""The recording of a loop of somebody's own: one producer of a live run, as Ultralytics' callbacks are another."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import weakref
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from journal.encoding import plain
from journal.evaluations import SAID, looks_like_one
from journal.handler_errors import raised_in_handler
from journal.kinds import BEST, EPOCH, FINAL, LAST, MEDIA
from journal.metrics import REVISION
from journal.writing.continuation import Continuation
from uploader.live.current_training import make_current
from uploader.live.guard import guard
from uploader.live.images import image_content, medium
from uploader.live.live_run import LiveRun
from uploader.live.logged_values import Logged, in_text, logged
from uploader.live.packed_folder import pack
from uploader.live.plot_values import curves
from uploader.live.run_summary import Summary
from uploader.live.steps import Steps, step_number
from uploader.live.training_failure import Failure, failure
from uploader.recording.checkpoint_file import CheckpointFile
from uploader.redacting import Redactor

LOGGER = logging.getLogger("uploader")
ROLES = (LAST, BEST, FINAL)


class LoopRecording:
    """The recording of a loop, from its start to its end.

    It is not what the loop holds (`uploader.live.active_run`), so that a run that nobody holds any more can be ended.

    Attributes:
        run: Where events go.
        folder: The run's folder.
        steps: What was logged in each step.
        summary: What is said of the run as a whole.
    """

    def __init__(self, run: LiveRun, redactor: Redactor, folder: Path) -> None:
        """Record nothing yet.

        Args:
            run: Where events go; this object ends it.
            redactor: Removes secrets from text.
            folder: The run's folder.
        """
        self.run = run
        self.folder = folder
        self._redactor = redactor
        before = run.recorder.continuation()
        self.steps = Steps(before.following, run.recorder.step)
        self.summary = Summary(self._sum_up, before.summary)
        self._last = Logged()
        self._checkpoints = _best_so_far(before)
        self._has_best = before.best is not None
        self._best_kept = None if BEST in self._checkpoints else before.kept
        self._result: CheckpointFile | None = None
        self._lock = threading.RLock()  # a signal handler may log while the thread under it does
        self._ending = threading.Lock()
        self._has_ended = threading.Event()
        self._warned: set[str] = set()
        self._uncounted = 0
        self._sampled: tuple[int, object] = (-1, None)
        self._is_closed = False
        self._pid = os.getpid()
        self._error_before = getattr(sys, "last_value", None)
        self._unseen_error: Callable[[], BaseException | None] = self._newest_error
        self._unless_ended = ""

    def begin(self, start: Mapping[str, Any], environment: Mapping[str, Any], origin: Mapping[str, str]) -> None:
        """Record the start."""
        make_current(self)
        atexit.register(self.abandon)
        if hasattr(sys, "ps1"):  # an interactive Python, where an error ends no program
            for other in _begun:
                other.settle_error()
        _begun.add(self)
        self.run.begin(start, environment, origin)
        self.run.go_on()

    def take_over(self, before: LoopRecording) -> None:
        """Add to the steps of an earlier session of this process, instead of replacing what is logged of them again."""
        with self._lock:
            self.steps, self._last = before.steps, before._last
            self._checkpoints = {role: file for role, file in before._checkpoints.items() if role != FINAL}
            self._has_best, self._result = before._has_best, before._result
            self._best_kept = before._best_kept

    def fails_unless_ended(self, why: str) -> None:
        """Have the run fail, for this reason, if it is abandoned."""
        self._unless_ended = why

    @property
    def is_open(self) -> bool:
        """Whether this process records the run, and it has not ended."""
        return not self._is_closed and os.getpid() == self._pid

    def takes_more(self) -> bool:
        """Return whether something can be recorded; say once why not."""
        run = self.run.recorder.run_id
        if os.getpid() != self._pid:
            self.warn("child", f"run {run} is recorded by the process that began it, not by its child {os.getpid()}")
        elif self._is_closed:
            self.warn("closed", f"run {run} has ended: what is logged now is not recorded")
        else:
            make_current(self)
        return self.is_open

    def log(self, values: Mapping[str, Any], step: Any) -> None:
        """Record what was logged at once; see `ActiveRun.log`."""
        if not _is_by_name(values):
            self.warn("values", f"log takes values by name, and not a {type(values).__name__}: they are not recorded")
            return
        told = logged(values)
        number = self._number(step)
        system = self.run.system.sample()
        with self._lock:
            taken = self.steps.take(told, number)
            self._last = self._last.merged(told)
            payload = {"epoch": taken.number, REVISION: taken.revision, **taken.logged.payload()}
            if looks_like_one(payload["metrics"]):
                payload[SAID] = False
            if system is not self._sampled[1] or taken.number == self._sampled[0]:  # each sample once, with one step
                payload["system"] = system
                self._sampled = (taken.number, system)
            self.run.events.event(EPOCH, payload, str(taken.number))

    def checkpoint(self, path: str | os.PathLike[str], role: str, step: Any) -> None:
        """Record a save; see `ActiveRun.log_checkpoint`."""
        if role not in ROLES:
            allowed = ", ".join(ROLES)
            self.warn(f"role {role}", f"a checkpoint's role is one of {allowed}, and not {role!r}: kept as last")
            role = LAST
        guard(self, "log_checkpoint", partial(self._checkpoint, Path(path), role, self._number(step)))

    def image(self, name: str, image: Any, step: Any) -> None:
        """Record an image; see `ActiveRun.log_image`."""
        self._medium(name, step, image_content(image))

    def plot(self, name: str, x: Any, y: Any, step: Any) -> None:
        """Record a plot; see `ActiveRun.log_plot`."""
        self._medium(name, step, {"form": "plot", **curves(x, y)})

    def fail(self, why: str) -> None:
        """End the run for a reason."""
        self._finish(Failure(self._redactor.text(why) or "no reason was told", "Failed"))

    def close(self, error: BaseException | None) -> None:
        """End the run with what ended the loop; `SystemExit` without a code of failure is no error."""
        self._finish(self._failure(error))

    def abandon(self) -> None:
        """End a run that nobody has ended: as failed if an error has ended the program, else as complete."""
        if os.getpid() == self._pid:
            self._finish(self._unseen_failure())
            self._has_ended.wait()  # another thread may be at it

    def abandon_unseen(self) -> None:
        """Do the same in a thread of the run, when nobody holds it any more."""
        self._end(self._unseen_failure())

    def settle_error(self) -> None:
        """Note that another run begins: what fails from now on is not this one."""
        error = self._unseen_error()
        self._unseen_error = lambda: error

    def attempt(self, what: str, part: Callable[[], object]) -> None:
        """Do a part of the recording; tell once of each that fails, and how."""
        try:
            part()
        except Exception as error:
            if raised_in_handler(error):
                raise
            kind = type(error).__name__
            self.warn(f"{what} {kind}", f"{what} cannot be recorded ({kind}: {in_text(error)})")

    def warn(self, what: str, message: str) -> None:
        """Warn once of each thing."""
        if what not in self._warned:
            self._warned.add(what)
            LOGGER.warning("Uploader: %s", message)

    def _medium(self, name: str, step: Any, content: Mapping[str, Any]) -> None:
        self.run.events.event(MEDIA, *medium(name, self._step_of(self._number(step)), content))

    def _step_of(self, number: int | None) -> int:
        """Return a step's number; that of the last one that was logged, where there is none."""
        return max(0, self.steps.following - 1) if number is None else number

    def _sum_up(self, kind: str, payload: Mapping[str, Any], key: str) -> None:
        if self.takes_more():
            self.run.events.event(kind, payload, key)

    def _number(self, step: Any) -> int | None:
        try:
            return step_number(step)
        except ValueError as error:
            self._uncounted += 1
            told = f"{in_text(step)[:40]} ({type(step).__name__})"
            self.warn("step", f"{error}, and not {told}: what is logged with such a one goes to the next step")
            return None

    def _checkpoint(self, path: Path, role: str, step: int | None) -> None:
        epoch = self._step_of(step)
        self._has_best = self._has_best or role == BEST
        publish = role != LAST or not self._has_best
        if path.is_dir():
            path = pack(path, self.folder / "checkpoints" / f"{role}.tar")
        file = CheckpointFile.of(path, role, epoch=epoch, publish=publish, is_best=role != LAST)
        last = self._checkpoints.get(LAST)
        if file is None:
            self.warn(f"no {path}", f"the checkpoint {path} is not recorded: there is no such file or folder")
            return
        self._checkpoints[role] = file
        self._best_kept = None if role == BEST else self._best_kept
        self.run.recorder.note_steps(self.steps.following)
        if role == FINAL:
            self.run.recorder.snapshot(file)
        else:
            is_passing = role == BEST and last is not None and last.path == file.path  # the next save writes over it
            self.run.saved({"epoch": epoch, "files": [file.save_facts()]}, [file], is_last=is_passing)

    def _newest_error(self) -> BaseException | None:
        """Return the error that nobody has handled since the run began."""
        error = getattr(sys, "last_value", None)
        return None if error is self._error_before else error

    def _unseen_failure(self) -> Failure | None:
        if (error := self._unseen_error()) is not None:
            return self._failure(error)
        return Failure(self._unless_ended, "Failed") if self._unless_ended else None

    def _failure(self, error: BaseException | None) -> Failure | None:
        is_exit = isinstance(error, SystemExit) and error.code in (None, 0)
        return None if error is None or is_exit else failure(error, self._redactor)

    def _finish(self, how: Failure | None) -> None:
        if self.is_open:
            guard(self, "the end", partial(self._end, how), self.run.recorder.hurry)

    def _end(self, how: Failure | None) -> None:
        with self._ending:
            if not self.is_open:
                return
            self._is_closed = True
        try:
            self.run.stop_watching()
            self.run.recorder.note_steps(self.steps.following, is_over=True)
            if self._uncounted > 1:
                self.warn("steps", f"{self._uncounted} times a step was given that is none")
            if how is None:
                self._complete()
            self.run.end("failed" if how else "complete", how)
        finally:
            self._has_ended.set()
            atexit.unregister(self.abandon)

    def _complete(self) -> None:
        best, last = self._checkpoints.get(BEST), self._checkpoints.get(LAST)
        self.run.recorder.wait_for_snapshots()
        if FINAL not in self._checkpoints:
            if best and not self._keep_result(best):
                best, self._has_best = None, False
            if self._best_kept and not self.run.recorder.keep_as_final(self._best_kept):
                self._best_kept, self._has_best = None, False
            if last and not self._has_best:
                self._keep_result(last)
        results: dict[str, Any] = {"metrics": {**self._last.metrics, **self.summary.numbers()}}
        if self.summary:
            results["summary"] = plain(dict(self.summary))
        if best or self._best_kept:
            results["bestEpoch"] = best.epoch if best else (self._best_kept or {}).get("epoch")
        self.run.complete({"results": results, "classNames": None, "plots": []})

    def _keep_result(self, file: CheckpointFile) -> bool:
        """Keep what was logged as the run's result, also where its file is another one since; return whether it was.

        Of the last weights that were written again before they were copied, the newer ones are kept.
        """
        if file == self._result:  # the session before kept it, and nothing was trained since
            return True
        self._result = file
        if self.run.recorder.keep_copy_as_final(file):
            return True
        now = file.refreshed()
        if now != file:
            self._warn_of_lost(file, is_there=now is not None)
        if now == file or (now and file.role == LAST):
            self.run.keep_final(replace(now, role=FINAL, publish=True, is_best=file.role == BEST))
        return now == file

    def _warn_of_lost(self, file: CheckpointFile, *, is_there: bool) -> None:
        what = f"the {file.role} weights, of step {file.epoch}, were not kept: {file.path}"
        how = "was written again" if is_there else "was removed"
        instead = (
            "what is there now is kept instead"
            if is_there and file.role == LAST
            else "save them under a name of their own"
        )
        self.warn(f"lost {file.role}", f"{what} {how} before it was copied; {instead}")


def end_in(folder: Path) -> None:
    """End the run of a folder that this process still records, as another one begins there or it goes on."""
    for recording in [each for each in _begun if each.folder == folder]:
        recording.abandon()


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


_begun: weakref.WeakSet[LoopRecording] = weakref.WeakSet()
