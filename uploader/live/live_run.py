"""A run while it is recorded, whatever trains it: its start, what it prints, its saves, its end.

Who produces it, such as Ultralytics' callbacks or a loop of somebody's own, says what was measured and when it is over.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from journal.kinds import COMPLETE, CONSOLE, EPOCH, FAILED, GIVEN_UP, MODEL_SAVED, REGISTRATION
from journal.losses import Loss, loss_payload
from journal.shared_library import NEEDS_LIBRARY, is_installed
from uploader.live.console_capture import Chunk, ConsoleCapture
from uploader.live.event_buffer import EventBuffer
from uploader.live.guard import optional
from uploader.live.machine_sampler import Sampler
from uploader.live.training_failure import Failure
from uploader.proving.key_files import public_key
from uploader.recording.checkpoint_file import CheckpointFile
from uploader.recording.recorder import Recorder
from uploader.redacting import Redactor


class LiveRun:
    """One session of a run, from its start to its end.

    Attributes:
        recorder: Where events go; owned by this object from now on.
        events: Passes them on, or holds them back while it is not certain that a finished run continues.
        console: Captures what is printed.
        system: Samples the machine.
    """

    def __init__(
        self,
        recorder: Recorder,
        system: Sampler,
        redactor: Redactor,
        capture: Callable[[Callable[[Chunk], None]], ConsoleCapture],
        say: Callable[[str], None],
    ) -> None:
        """Begin nothing yet.

        Args:
            recorder: Where events go.
            system: Samples the machine.
            redactor: Removes secrets from text.
            capture: Returns what captures the console, and gives each chunk to the function that it is called with.
            say: Tells a person something.
        """
        self.recorder = recorder
        self.events = EventBuffer(recorder.event, is_buffering=recorder.was_complete)
        self.system = system
        self._redactor = redactor
        self._say = say
        self.console = capture(self._record_console)

    def begin(self, start: Mapping[str, Any], environment: Mapping[str, Any], origin: Mapping[str, str]) -> None:
        """Record the start and begin to capture the console.

        Args:
            start: What the start event tells of the training.
            environment: Where it runs.
            origin: Further members of `environment`: where the training comes from.
        """
        recorder = self.recorder
        payload = {
            **start,
            "environment": {
                **environment,
                "uploaderRun": recorder.run_id,
                "uploaderSession": recorder.session.facts(),
                **_proof_key(),
                **origin,
            },
            "system": self.system.sample(),
        }
        self.events.event(REGISTRATION, self._redactor.value(payload), str(recorder.session_number))
        for epoch, payload_json in recorder.origin.epochs:  # a continued copy would be incomplete without them
            self.events.event(EPOCH, json.loads(payload_json), epoch)
        self._say(f"recording this training as run {recorder.run_id}; {self._who_delivers()}")
        if model := recorder.origin.model:
            streamed = "" if recorder.resumed else ", which Ultralytics has streamed it to"
            self._say(f"this training continues as model {model}{streamed}")
        self.console.start()

    def go_on(self) -> None:
        """Note that the training really runs, so that a run that was finished is continued."""
        if self.events.is_buffering:
            self.recorder.reopen()
            self.events.flush()

    def saved(self, payload: Mapping[str, Any], files: Sequence[CheckpointFile], *, is_last: bool = False) -> None:
        """Record a save and have its files snapshotted in the background.

        The code that trains has not synced its files: a power cut would take them along with this event, so waiting for
        the disk, which is busy writing them, would gain nothing. Killing the process harms neither.

        Args:
            payload: The event's.
            files: What was saved.
            is_last: Whether the trainer goes on to change the only file that has these weights.
        """
        self.events.event(MODEL_SAVED, payload, str(payload["epoch"]), durability="process")
        for file in files:
            self.recorder.snapshot(file, is_last=is_last)

    def keep_final(self, file: CheckpointFile) -> None:
        """Keep the training's result.

        It is journaled before the results, so that a platform has the weights when it learns that the training is
        complete. Waiting for the disk delays nothing, as the training is over.
        """
        self.recorder.snapshot(file)
        self.recorder.wait_for_snapshots()

    def complete(self, payload: Mapping[str, Any], losses: Sequence[Loss] = ()) -> None:
        """Record the results, and what was left out of them."""
        if losses:
            self.events.event(GIVEN_UP, loss_payload("they are too large to be sent", losses), "plots")
        self.events.event(COMPLETE, self._redactor.results(payload))

    def stop_watching(self) -> None:
        """End the capture of the console and the samples of the machine."""
        self.console.stop()
        self.system.close()

    def end(self, outcome: str, how: Failure | None) -> None:
        """End the session.

        The outcome is written first. The wait for snapshots that follows may be interrupted: the next drain salvages
        the checkpoints that were not snapshotted by then.

        Args:
            outcome: As the journal shows it.
            how: How it failed.
        """
        if self.events.is_buffering:
            self._say(f"run {self.recorder.run_id} was finished before and was not continued; it stays as it is")
        elif how:
            self.events.event(FAILED, how.payload())
        self.recorder.finish(outcome)
        self._say(self.recorder.farewell())
        if safe := self.recorder.safety:
            self._say(safe)

    def _who_delivers(self) -> str:
        if into := self.recorder.shared:
            if not is_installed():
                return f"it stays on this machine: {into} {NEEDS_LIBRARY}; then `{self.recorder.drain_command}`"
            return f"it is brought into {into} beside it, which prints to {self.recorder.drain_log}"
        if self.recorder.drain_log:
            return f"a drain beside it delivers it, and prints to {self.recorder.drain_log}"
        return f"`{self.recorder.drain_command}` delivers it"

    def _record_console(self, chunk: Chunk) -> None:
        self.events.event(CONSOLE, self._redactor.value(chunk.payload()), str(chunk.id))


def _proof_key() -> dict[str, str]:
    """Return the key that signs this user's proofs, so that platforms have it before there is any result."""
    key = optional("the key that signs proofs", public_key)
    return {"uploaderProofKey": key} if key else {}
