"""A run while it is recorded, to a loop of somebody's own: what `uploader.start_run` returns."""

from __future__ import annotations

import os
import sys
import weakref
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from journal.kinds import LAST
from uploader.live.guard import guard
from uploader.live.logged_values import in_text
from uploader.live.loop_recording import LoopRecording
from uploader.live.platform_signals import PlatformSignals
from uploader.live.run_summary import Summary
from uploader.recording.serial_executor import in_caller


class ActiveRun:
    """A run while it is recorded; used in a `with` block, or ended by `finish`.

    After `start_run` nothing of it raises into the loop: what cannot be recorded is told in one warning. It may be used
    from several threads. In a forked child, such as a worker of a `DataLoader`, and on every rank but the first, its
    methods do nothing. A run that nobody holds any more ends, as one that nobody has ended does with its program.

    Attributes:
        id: The run's uuid; "" where this process records nothing.
        folder: The run's folder, by which it can be resumed.
        config: The configuration, as it was recorded.
        resumed: Whether the run was known before.
        summary: What is to be said of the run as a whole, by name; see `uploader.live.run_summary`.
    """

    def __init__(self, recording: LoopRecording | None, folder: Path, config: Mapping[str, Any]) -> None:
        """Use `uploader.start_run` instead.

        Args:
            recording: The recording; None where this process records nothing.
            folder: The run's folder.
            config: The configuration.
        """
        self._recording = recording
        self.folder = folder
        self.config = config
        self.stop = False
        self.id, self.resumed, self.summary = "", False, Summary(None, {})
        self._signals: PlatformSignals | None = None
        if recording is not None:
            recorder = recording.run.recorder
            self.id, self.resumed, self.summary = recorder.run_id, recorder.resumed, recording.summary
            self._signals = PlatformSignals(recorder.told, say)
            forget = weakref.finalize(self, recording.run.console.stop_later, recording.abandon_unseen)
            forget.atexit = False  # the recording ends by itself then

    @property
    def is_open(self) -> bool:
        """Whether this process records the run, and it has not ended."""
        return self._recording is not None and self._recording.is_open

    @property
    def next_step(self) -> int:
        """The number of the next step that is logged without one."""
        return self._recording.steps.following if self._recording else 0

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
        if self._recording and self._recording.takes_more():
            self._recording.attempt("what was logged", partial(self._recording.log, values, step))

    def log_checkpoint(self, path: str | os.PathLike[str], role: str = LAST, step: Any = None) -> None:
        """Record that a file of weights was saved; it is copied in the background, if it is not written over before.

        A newer one of a role takes the place of an older one that is not delivered yet. A platform that shows one model
        for a run is sent the best, or the last where there is no best.

        Args:
            path: The file; it may have any name.
            role: `last`, `best`, or `final` for the result of a run that ends now.
            step: The step whose weights it holds; None for the last one that was logged.
        """
        if self._recording and self._recording.takes_more():
            self._recording.attempt("a checkpoint", partial(self._recording.checkpoint, path, role, step))

    def log_image(self, name: str, image: Any, step: Any = None) -> None:
        """Record an image, such as predictions for a batch.

        Args:
            name: What it shows; of one name in one step, the last image counts.
            image: The bytes or the path of a PNG, JPEG, GIF or WebP file; an image of Pillow; a figure of Matplotlib;
                or an array, also torch's, of whole numbers from 0 to 255 or of others from 0 to 1.
            step: The step that it belongs to; None for the last one that was logged.
        """
        if self._recording and self._recording.takes_more():
            self._recording.attempt(f"the image {in_text(name)}", partial(self._recording.image, name, image, step))

    def log_plot(self, name: str, x: Any, y: Any, step: Any = None) -> None:
        """Record a plot, such as a precision-recall curve, as its values.

        Args:
            name: What it shows; of one name in one step, the last plot counts.
            x: Numbers.
            y: As many numbers, or several curves of them by name.
            step: The step that it belongs to; None for the last one that was logged.
        """
        if self._recording and self._recording.takes_more():
            self._recording.attempt(f"the plot {in_text(name)}", partial(self._recording.plot, name, x, y, step))

    def finish(self, error: BaseException | str | None = None) -> None:
        """End the run; doing so again does nothing.

        Args:
            error: Why it has failed; None where it is complete.
        """
        if self._recording is None:
            return
        if error is None or isinstance(error, BaseException):
            self._recording.close(error)
        else:
            self._recording.fail(in_text(error))

    def take_over(self, before: ActiveRun) -> None:
        """Add to what an earlier session of this process has logged, as adapters do when they go on with a run."""
        if self._recording and before._recording:
            self._recording.take_over(before._recording)

    def fails_unless_ended(self, why: str) -> None:
        """Have the run fail, for this reason, if nobody ends it; for adapters, which are told of the end alone."""
        if self._recording:
            self._recording.fails_unless_ended(why)

    def abandon(self) -> None:
        """End the run as one that nobody ends."""
        if self._recording:
            self._recording.abandon()

    def __enter__(self) -> ActiveRun:
        """Return the run."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the run, as failed where an exception ends the block."""
        self.finish(error)

    def __repr__(self) -> str:
        """Return it for people."""
        state = f"{self.id} in {self.folder}" if self.id else "recorded by another process"
        return f"<active run {state}>"

    def __reduce__(self) -> tuple[Any, ...]:
        """Be pickled, for a process that records nothing of the run."""
        return not_recording, (str(self.folder), dict(self.config))


def not_recording(folder: str | Path, config: Mapping[str, Any]) -> ActiveRun:
    """Return a run whose methods do nothing, as another process records it."""
    return ActiveRun(None, Path(folder), config)


def say(message: str) -> None:
    """Tell a person something, where a loop's other messages go."""

    def write() -> None:
        if sys.stderr is not None:
            with suppress(OSError, ValueError):  # it is closed, or nobody reads it any more
                sys.stderr.write(f"Uploader: {message}\n")

    in_caller(write)
