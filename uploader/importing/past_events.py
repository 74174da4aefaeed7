"""What an imported run is in the journal: the same events as those of a run that was recorded. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from journal.clock import now_text, to_text
from journal.encoding import storable
from journal.evaluations import SAID, looks_like_one
from journal.kinds import BEST, COMPLETE, CONSOLE, EPOCH, FAILED, FINAL, REGISTRATION, SUMMARY, SYSTEM_METRICS
from journal.metrics import IMPORTED, SOURCE
from journal.sessions.identity import Draft, Session, derived
from journal.writing.payloads import drafts
from uploader.console_chunks import chunk_payload, folded
from uploader.importing.imported_run import ConsoleText, ImportedRun, RunFile, Step
from uploader.live.logged_values import Logged, logged
from uploader.live.run_facts import configuration, start_facts
from uploader.redacting import Redactor

LINES_PER_CHUNK = 100
"""Nobody waits for a line of what was printed long ago."""
IMPORT = "import"
"""First part of what the uuids of imported runs and sessions are derived from."""


def run_uuid(run: ImportedRun) -> str:
    """Return the uuid that a run has wherever and whenever it is imported."""
    return derived(IMPORT, run.source, *map(storable, run.identity))


class PastEvents:
    """The events of one imported run, each as it is written: with what was left out of it, and its time."""

    def __init__(self, run: ImportedRun, redactor: Redactor) -> None:
        """Make nothing yet."""
        self._run = run
        self._redactor = redactor
        first, last = (run.steps[place].at if run.steps else None for place in (0, -1))
        self.began = _text(run.started_at or first or run.ended_at) or now_text()
        self.ended = _text(run.ended_at or last or run.started_at) or self.began
        self._times = {step.number: _text(step.at) for step in run.steps}

    def time_of(self, step: int) -> str:
        """Return when a step was logged; the run's end where that is not known."""
        return self._times.get(step) or self.ended

    def start(self, run_id: str, session: Session, *, number: int) -> list[Draft]:
        """Return the start of the session that brings in something.

        Args:
            run_id: Uuid of the run.
            session: It.
            number: Which of the run's starts it is, from 1.
        """
        facts = start_facts(configuration(self._run.config), resumed=number > 1)
        environment = {
            **self._run.environment,
            "uploaderRun": run_id,
            "uploaderSession": session.facts(),
            IMPORTED: {"from": self._run.source, "folder": str(self._run.folder)},
        }
        return drafts(
            REGISTRATION, self._redactor.value({**facts, "environment": environment}), str(number), self.began
        )

    def steps(self) -> Iterator[list[Draft]]:
        """Yield each step."""
        source = self._run.steps_from or self._run.source
        for step in self._run.steps:
            yield drafts(EPOCH, _step_payload(step, source), str(step.number), self.time_of(step.number))

    def summary(self) -> Iterator[list[Draft]]:
        """Yield what was said of the run as a whole, if anything."""
        if self._run.summary:
            yield drafts(SUMMARY, logged(self._run.summary).payload(), "", self.ended)

    def samples(self) -> Iterator[list[Draft]]:
        """Yield each sample of the machine."""
        for sample in self._run.samples:
            at = to_text(sample.at)
            values = {"values": dict(sample.values)} if sample.values else {}
            yield drafts(SYSTEM_METRICS, {**sample.system, **values}, at, at)

    def console(self, known: Sequence[tuple[int, str]]) -> Iterator[list[Draft]]:
        """Yield the console text that is not known yet; nothing where what is known is something else.

        Args:
            known: Number and content of each chunk that the journal has.
        """
        lines = [(self._redactor.text(line), at) for line, at in _lines(self._run.console)]
        had = "\n".join(content for _, content in known).split("\n") if known else []
        if [line for line, _ in lines[: len(had)]] != had:
            return
        number = max((number for number, _ in known), default=0)
        for start in range(len(had), len(lines), LINES_PER_CHUNK):
            chunk = lines[start : start + LINES_PER_CHUNK]
            number += 1
            payload = chunk_payload(number, "\n".join(line for line, _ in chunk), len(chunk), {})
            yield drafts(CONSOLE, payload, str(number), _text(chunk[-1][1]) or self.ended)

    def end(self) -> list[Draft]:
        """Return the run's end; nothing if its files tell of none."""
        if self._run.state == "complete":
            return drafts(COMPLETE, self._redactor.results(self._completion()), "", self.ended)
        if self._run.state == "failed":
            error = self._redactor.text(self._run.error or "") or "the run failed; its files do not tell why"
            return drafts(FAILED, {"error": error, "code": "Failed"}, "", self.ended)
        return []

    def _completion(self) -> Mapping[str, Any]:
        told = Logged()
        for step in self._run.steps:
            told = told.merged(Logged(logged(step.values).metrics))
        results: dict[str, Any] = {"metrics": {**told.metrics, **logged(self._run.summary).metrics}}
        best = next((file.step for file in self._run.files if file.role == BEST and file.step is not None), None)
        if best is not None:
            results["bestEpoch"] = best
        return {"results": results, "classNames": None, "plots": [], **self._run.results}


def checkpoint_facts(file: RunFile) -> dict[str, Any]:
    """Return what is told of a checkpoint beside its role and bytes."""
    return {
        "epoch": file.step or 0,
        "filename": file.path.name,
        "publish": file.is_published,
        "isBest": file.is_best or file.role == BEST,
    }


def outcome(run: ImportedRun) -> str:
    """Return how the session ended, as the journal says it."""
    return {"complete": "complete", "failed": "failed", "running": "imported", "unknown": "exited"}[run.state]


def in_order(files: Sequence[RunFile]) -> list[RunFile]:
    """Return checkpoints in the order in which a training saves them: its result is the last one."""
    return sorted(files, key=lambda file: (file.role == FINAL, file.role == BEST, file.step or 0))


def _step_payload(step: Step, source: str) -> dict[str, Any]:
    told = logged(step.values).payload()
    says = {SAID: False} if looks_like_one(told["metrics"]) else {}
    return {"epoch": step.number, **told, **says, **step.facts, SOURCE: source}


def _lines(console: Sequence[ConsoleText]) -> Iterator[tuple[str, datetime | None]]:
    """Yield each line with its time; of what was written over, what was to be seen last."""
    for text in console:
        for line in folded(text.text.rstrip("\n")):
            if shown := line.rstrip():
                yield shown, text.at


def _text(moment: datetime | None) -> str:
    return to_text(moment) if moment is not None else ""
