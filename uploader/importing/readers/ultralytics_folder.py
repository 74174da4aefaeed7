"""Runs of Ultralytics: the folder that a training writes, with `args.yaml`, `results.csv` and `weights/`."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from journal.clock import utc_now
from journal.kinds import BEST, FINAL, LAST
from journal.sessions.lost_epochs import TrainedEpoch
from uploader.importing.imported_run import FoundRun, ImportedRun, Problem, RunFile, RunState, Step
from uploader.importing.reader import UnreadableRun
from uploader.importing.readers.checkpoint_facts import CheckpointFacts, UnreadableCheckpoint, checkpoint_facts
from uploader.importing.readers.named_files import images_in
from uploader.run_folder.epoch_times import begun_at, epoch_times
from uploader.run_folder.model_file import CHECKPOINTS
from uploader.run_folder.results_file import ARGUMENTS_FILE, RESULTS_FILE, parse_results, read_results_text
from uploader.run_folder.run_file import KnownRun, journal_of

_NOTHING = CheckpointFacts()
_SILENT = timedelta(minutes=10)
"""A training that has not ended, and has written nothing for so long and for three of its epochs, is not at work."""
_GIT = {"gitRepository": "origin", "gitBranch": "branch", "gitCommit": "commit", "gitCommitMessage": "message"}
_RESULT = "metrics/"


class UltralyticsFolder:
    """Reads such folders.

    Attributes:
        name: See `Reader`.
    """

    name = "ultralytics"

    def detect(self, folder: Path) -> Sequence[FoundRun]:
        """Return the run of a folder."""
        has_results = _begins_like_results(folder / RESULTS_FILE)
        if has_results or _has_trained_arguments(folder):
            return [FoundRun(self.name, folder)]
        is_damaged = all(_beginning(folder / name) for name in (RESULTS_FILE, ARGUMENTS_FILE))
        return [FoundRun(self.name, folder, is_certain=False)] if is_damaged else []

    def read(self, found: FoundRun) -> ImportedRun:
        """Return the run of a folder."""
        folder, problems = found.place, list[Problem]()
        if (folder / "opt.yaml").is_file() and not (folder / ARGUMENTS_FILE).is_file():
            raise UnreadableRun("it is YOLOv5's, whose files mean something else")
        text = _results_text(folder)
        epochs = parse_results(text)
        if not epochs:
            raise UnreadableRun("no epoch of it is in a results.csv that can be read, so there is nothing to import")
        best, last = (_facts(folder, name, problems) for name in CHECKPOINTS)
        arguments = _arguments(folder, last or best or _NOTHING, problems)
        ended_at = (last.saved_at if last else None) or _written_at(folder / RESULTS_FILE)
        times = epoch_times([epoch.seconds for epoch in epochs], ended_at)
        known = KnownRun.read(folder)
        state = _state(folder, arguments, best, last, epochs)
        problems += _lines_left_out(text, epochs, is_written=state == "running")
        return ImportedRun(
            source=self.name,
            identity=_identity(text, arguments),
            project=_named(arguments, "project"),
            name=_named(arguments, "name") or folder.name,
            folder=folder,
            config=arguments,
            environment=_environment(last or best or _NOTHING),
            started_at=begun_at([epoch.seconds for epoch in epochs], times),
            ended_at=ended_at,
            state=state,
            steps=_steps(epochs, times, best, last),
            steps_from=RESULTS_FILE,
            files=[
                *_files(folder, epochs, best, last, is_complete=state == "complete"),
                *images_in(folder, problems),
            ],
            results=_results(epochs, best, last),
            problems=problems,
            known_as=known.run if known else None,
            is_recorded_in=journal_of(folder),
            may_name_owner=True,
            may_be_recorded=True,
        )


READER = UltralyticsFolder()


def _begins_like_results(file: Path) -> bool:
    head = _beginning(file).partition(b"\n")[0].decode("utf-8-sig", "replace")
    return head.strip().startswith("epoch,") and any(start in head for start in ("train/", "metrics/", "val/"))


def _has_trained_arguments(folder: Path) -> bool:
    """Return whether a folder has the arguments of a training, of which no epoch has ended yet."""
    head = _beginning(folder / ARGUMENTS_FILE)
    return head.startswith(b"task:") and b"\nmode: train" in head


def _beginning(file: Path) -> bytes:
    """Return the first bytes of a file; none of what cannot be read, or would have to be waited for."""
    try:
        if not file.is_file():
            return b""
        with file.open("rb") as opened:
            return opened.read(4096)
    except OSError:
        return b""


def _results_text(folder: Path) -> str:
    try:
        return read_results_text(folder)
    except OSError as error:
        raise UnreadableRun(f"{RESULTS_FILE} cannot be read ({error.strerror})") from error


def _lines_left_out(text: str, epochs: Sequence[TrainedEpoch], *, is_written: bool) -> list[Problem]:
    is_torn = not (text.endswith("\n") or is_written)
    lines = sum(bool(line.strip()) for line in text[: text.rfind("\n") + 1].splitlines()[1:])
    found = [Problem(RESULTS_FILE, "its last line is not whole yet and was left out")] if is_torn else []
    if lines > len(epochs):
        found.append(Problem(RESULTS_FILE, f"{lines - len(epochs)} of its lines tell no epoch and were left out"))
    return found


def _facts(folder: Path, name: str, problems: list[Problem]) -> CheckpointFacts | None:
    """Return what a checkpoint tells; None when it is not there, or is not whole."""
    if not (folder / name).is_file():
        return None
    try:
        return checkpoint_facts(folder / name)
    except UnreadableCheckpoint as error:
        problems.append(Problem(name, f"{error}; it was left out"))
        return None


def _arguments(folder: Path, facts: CheckpointFacts, problems: list[Problem]) -> Mapping[str, Any]:
    try:
        import yaml
    except ImportError:
        problems.append(Problem(ARGUMENTS_FILE, "PyYAML, which reads it, is not installed: `pip install pyyaml`"))
        return dict(facts.arguments)
    try:
        found = yaml.safe_load(_content(folder / ARGUMENTS_FILE).decode("utf-8", "replace"))
        if isinstance(found, dict):
            return {str(name): value for name, value in found.items()}
        why = "it holds no arguments"
    except (OSError, yaml.YAMLError, RecursionError, ValueError) as error:
        why = f"it cannot be read ({getattr(error, 'strerror', None) or type(error).__name__})"
    instead = "those of its checkpoint were taken" if facts.arguments else "the run has none"
    problems.append(Problem(ARGUMENTS_FILE, f"{why}; {instead}"))
    return dict(facts.arguments)


def _content(file: Path) -> bytes:
    """Return the bytes of a file.

    Raises:
        OSError: There are none.
    """
    if file.exists() and not file.is_file():
        raise OSError(errno.EINVAL, "it is no file")
    return file.read_bytes()


def _named(arguments: Mapping[str, Any], what: str) -> str | None:
    return str(arguments[what]) if arguments.get(what) else None


def _identity(text: str, arguments: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what tells a run from others: its names, and its first epoch with the time that this took.

    These stay when the run goes on, and when its folder is moved. The same training may be run twice with one seed.
    """
    head, first, *_ = (line for line in text.splitlines() if line.strip())
    cells = (",".join(cell.strip() for cell in line.split(",")) for line in (head, first))
    return (*cells, str(arguments.get("project")), str(arguments.get("name")))


def _environment(facts: CheckpointFacts) -> dict[str, Any]:
    git = {name: facts.git.get(there) for name, there in _GIT.items()}
    git["gitCommit"] = str(git["gitCommit"] or "")[:12]
    return {name: fact for name, fact in {"ultralyticsVersion": facts.version, **git}.items() if fact}


def _steps(
    epochs: Sequence[TrainedEpoch],
    times: Sequence[datetime | None],
    best: CheckpointFacts | None,
    last: CheckpointFacts | None,
) -> list[Step]:
    """Return the epochs; of one that was trained again, the last counts."""
    by_number = {epoch.number: Step(epoch.number, epoch.metrics, at) for epoch, at in zip(epochs, times, strict=True)}
    first = min(by_number)
    if parameters := (last or best or _NOTHING).parameters:
        by_number[first] = Step(
            first, by_number[first].values, by_number[first].at, {"modelInfo": {"parameters": parameters}}
        )
    return [by_number[number] for number in sorted(by_number)]


def _state(
    folder: Path,
    arguments: Mapping[str, Any],
    best: CheckpointFacts | None,
    last: CheckpointFacts | None,
    epochs: Sequence[TrainedEpoch],
) -> RunState:
    """Return how a run stands: a trainer strips its checkpoints when it is through, and only then."""
    known = last or best
    total = arguments.get("epochs")
    is_through = known.is_stripped if known else isinstance(total, int) and epochs[-1].number + 1 >= total
    if is_through:
        return "complete"
    return "running" if _is_fresh(folder, epochs) else "unknown"


def _is_fresh(folder: Path, epochs: Sequence[TrainedEpoch]) -> bool:
    """Return whether a folder was written to so lately that its training may go on."""
    written = _written_at(folder / RESULTS_FILE)
    seconds = [epoch.seconds for epoch in epochs if epoch.seconds is not None]
    longest = max((after - before for before, after in zip([0.0, *seconds], seconds, strict=False)), default=0.0)
    return written is not None and utc_now() - written < max(_SILENT, timedelta(seconds=min(3 * longest, 1e6)))


def _files(
    folder: Path,
    epochs: Sequence[TrainedEpoch],
    best: CheckpointFacts | None,
    last: CheckpointFacts | None,
    *,
    is_complete: bool,
) -> list[RunFile]:
    """Return the checkpoints that a recorded training would have left: its result, or what it can go on from."""
    best_file, last_file = (folder / name for name in CHECKPOINTS)
    best_epoch, final_epoch = _best_epoch(epochs, best), epochs[-1].number
    if is_complete:
        file, epoch = (best_file, best_epoch) if best else (last_file, final_epoch)
        return [RunFile(file, FINAL, epoch, is_best=best is not None)] if best or last else []
    found = []
    if last:
        epoch = final_epoch if last.epoch is None else last.epoch
        found.append(RunFile(last_file, LAST, epoch, is_published=best is None))
    if best:
        found.append(RunFile(best_file, BEST, best_epoch, is_best=True))
    return found


def _best_epoch(epochs: Sequence[TrainedEpoch], best: CheckpointFacts | None) -> int | None:
    """Return the epoch whose weights `best.pt` has: the one that it says, else that of its metrics."""
    if best is None or best.epoch is not None:
        return best.epoch if best else None
    same = [epoch.number for epoch in epochs if _has_all(epoch.metrics, best.metrics)]
    return same[-1] if same else None


def _has_all(epoch: Mapping[str, float], metrics: Mapping[str, float]) -> bool:
    """Return whether an epoch has these metrics, as far as it has their names, with as many digits as a row has."""
    common = epoch.keys() & metrics.keys()
    return bool(common) and all(f"{epoch[name]:.6g}" == f"{metrics[name]:.6g}" for name in common)


def _results(
    epochs: Sequence[TrainedEpoch], best: CheckpointFacts | None, last: CheckpointFacts | None
) -> dict[str, Any]:
    """Return what the end tells, but for the plots' data, which no file has.

    The final evaluation is that of the best epoch again, and its own numbers are in no file; so the epoch's are taken.
    """
    number = _best_epoch(epochs, best)
    row = next((epoch for epoch in reversed(epochs) if epoch.number == number), epochs[-1])
    metrics = {name: value for name, value in row.metrics.items() if name.startswith(_RESULT)}
    fitness = (last or best or _NOTHING).metrics.get("fitness")
    results: dict[str, Any] = {"metrics": {**metrics, **({} if fitness is None else {"fitness": fitness})}}
    if number is not None:
        results["bestEpoch"] = number
    if best and "fitness" in best.metrics:
        results["bestFitness"] = best.metrics["fitness"]
    names = (best or last or _NOTHING).class_names
    return {"results": results, "classNames": list(names) if names else None}


def _written_at(file: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp(os.stat(file).st_mtime, timezone.utc)  # noqa: PTH116 - an mtime may overflow
    except (OSError, ValueError, OverflowError):
        return None
